"""A database as a LiteLLM proxy leaves it: the tables and columns of its own schema, with a small company in them."""

import hashlib
from datetime import date, timedelta

import asyncpg

from app.base.clock import now

ADAS_KEY = "sk-adas-key-issued-by-litellm-0001"
BOBS_KEY = "sk-bobs-key-issued-by-litellm-0002"
ROTATED_AWAY = "sk-bobs-key-before-its-rotation-01"
BLOCKED_KEY = "sk-key-that-litellm-blocked-00003"
GONE_KEY = "sk-key-that-litellm-deleted-00004"

SCHEMA = """
CREATE TABLE "LiteLLM_BudgetTable" (
    budget_id TEXT PRIMARY KEY, max_budget DOUBLE PRECISION, soft_budget DOUBLE PRECISION,
    max_parallel_requests INTEGER, tpm_limit BIGINT, rpm_limit BIGINT, model_max_budget JSONB, budget_duration TEXT,
    budget_reset_at TIMESTAMP(3), allowed_models TEXT[] DEFAULT '{}',
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, created_by TEXT NOT NULL,
    updated_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_by TEXT NOT NULL);
CREATE TABLE "LiteLLM_OrganizationTable" (
    organization_id TEXT PRIMARY KEY, organization_alias TEXT NOT NULL, budget_id TEXT NOT NULL,
    metadata JSONB NOT NULL DEFAULT '{}', models TEXT[], spend DOUBLE PRECISION NOT NULL DEFAULT 0,
    model_spend JSONB NOT NULL DEFAULT '{}', object_permission_id TEXT,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, created_by TEXT NOT NULL,
    updated_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_by TEXT NOT NULL);
CREATE TABLE "LiteLLM_TeamTable" (
    team_id TEXT PRIMARY KEY, team_alias TEXT, organization_id TEXT, object_permission_id TEXT, admins TEXT[],
    members TEXT[], members_with_roles JSONB NOT NULL DEFAULT '{}', metadata JSONB NOT NULL DEFAULT '{}',
    max_budget DOUBLE PRECISION, soft_budget DOUBLE PRECISION, spend DOUBLE PRECISION NOT NULL DEFAULT 0,
    models TEXT[], max_parallel_requests INTEGER, tpm_limit BIGINT, rpm_limit BIGINT, budget_duration TEXT,
    budget_reset_at TIMESTAMP(3), blocked BOOLEAN NOT NULL DEFAULT false,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, model_spend JSONB NOT NULL DEFAULT '{}',
    model_max_budget JSONB NOT NULL DEFAULT '{}', router_settings JSONB DEFAULT '{}',
    team_member_permissions TEXT[] DEFAULT '{}', policies TEXT[] DEFAULT '{}', model_id INTEGER UNIQUE);
CREATE TABLE "LiteLLM_UserTable" (
    user_id TEXT PRIMARY KEY, user_alias TEXT, team_id TEXT, sso_user_id TEXT UNIQUE, organization_id TEXT,
    object_permission_id TEXT, password TEXT, teams TEXT[] DEFAULT '{}', user_role TEXT,
    max_budget DOUBLE PRECISION, spend DOUBLE PRECISION NOT NULL DEFAULT 0, user_email TEXT, models TEXT[],
    metadata JSONB NOT NULL DEFAULT '{}', max_parallel_requests INTEGER, tpm_limit BIGINT, rpm_limit BIGINT,
    budget_duration TEXT, budget_reset_at TIMESTAMP(3), allowed_cache_controls TEXT[] DEFAULT '{}',
    model_spend JSONB NOT NULL DEFAULT '{}', model_max_budget JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "LiteLLM_VerificationToken" (
    token TEXT PRIMARY KEY, key_name TEXT, key_alias TEXT, soft_budget_cooldown BOOLEAN NOT NULL DEFAULT false,
    spend DOUBLE PRECISION NOT NULL DEFAULT 0, expires TIMESTAMP(3), models TEXT[],
    aliases JSONB NOT NULL DEFAULT '{}', config JSONB NOT NULL DEFAULT '{}', router_settings JSONB DEFAULT '{}',
    user_id TEXT, team_id TEXT, agent_id TEXT, project_id TEXT, permissions JSONB NOT NULL DEFAULT '{}',
    max_parallel_requests INTEGER, metadata JSONB NOT NULL DEFAULT '{}', blocked BOOLEAN, tpm_limit BIGINT,
    rpm_limit BIGINT, max_budget DOUBLE PRECISION, budget_duration TEXT, budget_reset_at TIMESTAMP(3),
    allowed_cache_controls TEXT[] DEFAULT '{}', allowed_routes TEXT[] DEFAULT '{}', policies TEXT[] DEFAULT '{}',
    access_group_ids TEXT[] DEFAULT '{}', model_spend JSONB NOT NULL DEFAULT '{}',
    model_max_budget JSONB NOT NULL DEFAULT '{}', budget_id TEXT, organization_id TEXT, object_permission_id TEXT,
    created_at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP, created_by TEXT,
    updated_at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP, updated_by TEXT, last_active TIMESTAMP(3),
    rotation_count INTEGER DEFAULT 0, auto_rotate BOOLEAN DEFAULT false, budget_limits JSONB);
CREATE TABLE "LiteLLM_DeprecatedVerificationToken" (
    id TEXT PRIMARY KEY, token TEXT UNIQUE NOT NULL, active_token_id TEXT NOT NULL, revoke_at TIMESTAMP(3) NOT NULL,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "LiteLLM_DeletedVerificationToken" (
    id TEXT PRIMARY KEY, token TEXT NOT NULL, key_alias TEXT, user_id TEXT, team_id TEXT, organization_id TEXT);
CREATE TABLE "LiteLLM_EndUserTable" (
    user_id TEXT PRIMARY KEY, alias TEXT, spend DOUBLE PRECISION NOT NULL DEFAULT 0, allowed_model_region TEXT,
    default_model TEXT, budget_id TEXT, object_permission_id TEXT, blocked BOOLEAN NOT NULL DEFAULT false);
CREATE TABLE "LiteLLM_TagTable" (
    tag_name TEXT PRIMARY KEY, description TEXT, models TEXT[], model_info JSONB,
    spend DOUBLE PRECISION NOT NULL DEFAULT 0, budget_id TEXT,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, created_by TEXT,
    updated_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "LiteLLM_TeamMembership" (
    user_id TEXT NOT NULL, team_id TEXT NOT NULL, spend DOUBLE PRECISION NOT NULL DEFAULT 0, budget_id TEXT,
    PRIMARY KEY (user_id, team_id));
CREATE TABLE "LiteLLM_OrganizationMembership" (
    user_id TEXT NOT NULL, organization_id TEXT NOT NULL, user_role TEXT, spend DOUBLE PRECISION DEFAULT 0,
    budget_id TEXT, PRIMARY KEY (user_id, organization_id));
CREATE TABLE "LiteLLM_ProxyModelTable" (
    model_id TEXT PRIMARY KEY, model_name TEXT NOT NULL, litellm_params JSONB NOT NULL, model_info JSONB,
    created_by TEXT NOT NULL, updated_by TEXT NOT NULL);
CREATE TABLE "LiteLLM_CredentialsTable" (credential_id TEXT PRIMARY KEY, credential_name TEXT UNIQUE NOT NULL);
CREATE TABLE "LiteLLM_DailyUserSpend" (
    id TEXT PRIMARY KEY, user_id TEXT, date TEXT NOT NULL, api_key TEXT NOT NULL, model TEXT, model_group TEXT,
    custom_llm_provider TEXT, mcp_namespaced_tool_name TEXT, endpoint TEXT,
    prompt_tokens BIGINT NOT NULL DEFAULT 0, completion_tokens BIGINT NOT NULL DEFAULT 0,
    cache_read_input_tokens BIGINT NOT NULL DEFAULT 0, cache_creation_input_tokens BIGINT NOT NULL DEFAULT 0,
    spend DOUBLE PRECISION NOT NULL DEFAULT 0, api_requests BIGINT NOT NULL DEFAULT 0,
    successful_requests BIGINT NOT NULL DEFAULT 0, failed_requests BIGINT NOT NULL DEFAULT 0);
CREATE TABLE "LiteLLM_SpendLogs" (request_id TEXT PRIMARY KEY, spend DOUBLE PRECISION);
"""
"""Of the schema of LiteLLM 1.7x and later, as Prisma creates it in Postgres; foreign keys and indexes left out."""

COMPANY = """
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, rpm_limit, created_by, updated_by) VALUES
    ('of-physics', 5000, '30d', 900, 'x', 'x'), ('of-ada-in-optics', 80.5, '30d', NULL, 'x', 'x'),
    ('silver', 20, '30d', 60, 'x', 'x');
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, created_by, updated_by)
    VALUES ('org-physics', 'physics', 'of-physics', '{}', 'x', 'x');
INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_role, max_budget, password) VALUES
    ('default_user_id', NULL, 'proxy_admin', NULL, NULL),
    ('ada', 'Ada@Example.com', 'internal_user', 100, 'scrypt'),
    ('bob', 'bob@example.com', 'app_user', NULL, NULL);
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, max_budget, budget_duration,
    models, tpm_limit, model_max_budget) VALUES
    ('team-optics', 'optics', 'org-physics',
     '[{"user_id": "ada", "role": "admin"}, {"user_id": "eve", "role": "user"}]', 500, '30d',
     '{demo/echo,demo/lorem}', 100000, '{"demo/echo": {"budget_limit": 1}}');
INSERT INTO "LiteLLM_TeamMembership" (user_id, team_id, spend, budget_id) VALUES
    ('ada', 'team-optics', 1.5, 'of-ada-in-optics'), ('bob', 'team-optics', 0, NULL);
INSERT INTO "LiteLLM_OrganizationMembership" (user_id, organization_id, user_role) VALUES
    ('ada', 'org-physics', 'org_admin');
INSERT INTO "LiteLLM_EndUserTable" (user_id, alias, budget_id, blocked) VALUES
    ('customer-1', 'Acme', 'silver', false), ('customer-2', NULL, NULL, true);
INSERT INTO "LiteLLM_TagTable" (tag_name, description, budget_id) VALUES ('engineering', 'cost center', 'silver');
INSERT INTO "LiteLLM_ProxyModelTable" VALUES ('m1', 'secret-gpt', '{"model": "gAAAAencrypted"}', '{}', 'x', 'x');
INSERT INTO "LiteLLM_CredentialsTable" VALUES ('c1', 'openai-of-the-company');
INSERT INTO "LiteLLM_SpendLogs" VALUES ('r1', 0.5);
"""
_KEY = """
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, spend, models, user_id, team_id, metadata, blocked,
    rpm_limit, max_budget, budget_duration, budget_id, aliases)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
_DAY = """
INSERT INTO "LiteLLM_DailyUserSpend" (id, user_id, date, api_key, model, model_group, custom_llm_provider,
    prompt_tokens, completion_tokens, cache_read_input_tokens, spend, api_requests)
    VALUES (gen_random_uuid(), $1, $2, $3, 'claude-sonnet-4-5', 'sonnet', 'anthropic', $4, $5, $6, $7, 3)
"""


def hashed(key: str) -> str:
    """As LiteLLM keeps a key."""
    return hashlib.sha256(key.encode()).hexdigest()


async def fill(database_url: str) -> None:
    """Ada spent 0.9 this month and 4 two years ago; her key says 1.5. Bob's key has spent 2.25 on no day."""
    today = now().date()
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(SCHEMA)
        await connection.execute(COMPANY)
        keys: tuple[tuple[object, ...], ...] = (
            (hashed(ADAS_KEY), "sk-...0001", "adas laptop", 1.5, ["all-team-models"], "ada", "team-optics",
             '{"tags": ["project:lens"], "guardrails": ["pii"]}', None, 7, 25.125, "30d", None,
             '{"fast": "demo/echo"}'),
            (hashed(BOBS_KEY), "sk-...0002", "bobs", 2.25, [], "bob", None, "{}", None, None, None, None,
             "silver", "{}"),
            (hashed(BLOCKED_KEY), "sk-...0003", "bobs", 0.0, [], "default_user_id", None, "{}", True, None, None, None,
             None, "{}"),
            (hashed("sk-of-a-session"), "sk-...0009", None, 0.0, [], "ada", "litellm-dashboard", "{}", None, None,
             None, None, None, "{}"),
            (hashed("sk-of-a-gone-team"), "sk-...0008", "orphan", 0.0, [], None, "team-gone", "{}", None, None, None,
             None, None, "{}"),
        )  # fmt: skip
        for key in keys:
            await connection.execute(_KEY, *key)
        await connection.execute(
            'INSERT INTO "LiteLLM_DeprecatedVerificationToken" VALUES ($1, $2, $3, $4)',
            "d1", hashed(ROTATED_AWAY), hashed(BOBS_KEY), now().replace(tzinfo=None) + timedelta(hours=1),
        )  # fmt: skip
        await connection.execute(
            'INSERT INTO "LiteLLM_DeletedVerificationToken" VALUES ($1, $2, $3, $4, $5, $6)',
            "d2", hashed(GONE_KEY), "gone", "ada", "team-optics", "org-physics",
        )  # fmt: skip
        long_ago = date(today.year - 2, 3, 9).isoformat()
        for day in (
            ("ada", today.isoformat(), hashed(ADAS_KEY), 1_000, 50, 400, 0.9),
            ("ada", long_ago, hashed(ADAS_KEY), 9_000, 10, 0, 3.75),
            ("ada", long_ago[:-1] + "8", hashed(ADAS_KEY), 1_000, 10, 0, 0.25),
            ("ada", long_ago, hashed(GONE_KEY), 100, 10, 0, 0.125),
        ):
            await connection.execute(_DAY, *day)
    finally:
        await connection.close()
