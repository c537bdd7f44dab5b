"""What the settings say of the pages, for whoever builds them."""

from app.api.ui.routes import PageRules
from app.notify.sender import Sender
from app.providers.provider import Upstream
from app.settings.settings import Settings
from app.settings.single_sign_on import single_sign_on_of


def page_rules_of(settings: Settings, http: Upstream, sender: Sender) -> PageRules:
    """``http`` reaches the issuer of single sign-on, ``sender`` people."""
    return PageRules(single_sign_on_of(settings), http, sender, settings.password_sign_in, settings.public_url)
