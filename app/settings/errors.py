"""The one error of the settings."""


class SettingsError(Exception):
    """The configuration cannot be used. Its text is one sentence a line, one for each problem, with its place."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
