"""Templates are made ready before they are asked for."""

import threading

from app.api.ui.rendering import Templates


def _readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "templates"]


def test_the_first_page_makes_the_templates_of_all_others_ready_and_the_next_has_nothing_to_do() -> None:
    before = _readers()
    templates = Templates({"in_words": str})
    values = {"approved": True, "person": None, "token": "t", "version": "1"}
    templates.render("device_done.html", values)
    (reader,) = [thread for thread in _readers() if thread not in before]
    reader.join(timeout=60)
    assert not reader.is_alive()  # what a template did to it would be a warning, and these are errors
    templates.render("device_done.html", values)
    assert reader not in _readers()
