"""The one error of the embedded servers."""


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be started, reached or stopped; the message says why and what to do."""
