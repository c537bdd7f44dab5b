"""Which models a key may see."""

from app.domain.access import Principal, may_use_model, visible_models
from app.domain.catalog import Model
from app.gateway.ports import CatalogSource


class Discovery:
    def __init__(self, catalog: CatalogSource) -> None:
        self._catalog = catalog

    def visible(self, principal: Principal) -> list[Model]:
        return visible_models(principal, self._catalog.current())

    def find(self, principal: Principal, name: str) -> Model | None:
        """The model of that name, None when there is none or this key may not use it."""
        model = self._catalog.current().resolve(principal.key.aliases.get(name, name))
        return model if model is not None and may_use_model(principal, model) else None
