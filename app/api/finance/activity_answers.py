"""What was done in coding sessions, in answers: counts, and the time in whole seconds."""

from typing import Any

from app.domain.activity import Activity

ACTIVITY_FIELDS = (
    "commits", "pull_requests", "lines_added", "lines_removed", "edits_accepted", "edits_rejected", "active_seconds",
)  # fmt: skip


def render_activity(done: Activity) -> dict[str, Any]:
    """By ``ACTIVITY_FIELDS``; all are 0 where the client tells nothing."""
    return {
        **{name: getattr(done, name) for name in ACTIVITY_FIELDS[:-1]},
        "active_seconds": (done.active_ms + 500) // 1000,
    }
