"""What the operator wrote: the only reader of the environment, and of the YAML file."""

from app.settings.errors import SettingsError
from app.settings.loading import environment, export_environment, load_settings
from app.settings.settings import Settings

__all__ = ["Settings", "SettingsError", "environment", "export_environment", "load_settings"]
