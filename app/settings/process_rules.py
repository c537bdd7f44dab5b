"""What the settings say of budgets, retention and overload, as the parts of a process take it."""

from app.domain.budgets import parse_period
from app.domain.retention import Retention, parse_retention
from app.domain.tenancy import PLATFORM, Level, budget_of_setting
from app.gateway.overload import OverloadRules
from app.settings.settings import Settings
from app.storage.named_levels import CustomerDefaults


def platform_of(settings: Settings) -> Level | None:
    if settings.max_budget_nanousd is None:
        return None
    duration = None if settings.budget_duration is None else parse_period(settings.budget_duration)
    budget = budget_of_setting("max_budget", settings.max_budget_nanousd, duration)
    return Level("platform", PLATFORM, "the platform", budgets=(budget,))


def customer_defaults_of(settings: Settings) -> CustomerDefaults:
    limit_nanousd = settings.max_customer_budget_nanousd
    budget = None if limit_nanousd is None else budget_of_setting("max_end_user_budget", limit_nanousd)
    return CustomerDefaults(budget, settings.max_customer_budget_id)


def retention_of(settings: Settings) -> Retention:
    keep = settings.receipts_retention
    return Retention(None if keep is None else parse_retention(keep), settings.retention_export == "required")


def overload_rules_of(settings: Settings) -> OverloadRules:
    return OverloadRules(
        most_running=settings.max_running_requests,
        most_of_tenant=settings.max_running_per_tenant,
        most_waiting=settings.max_waiting_requests,
        wait_s=settings.place_wait_s,
    )
