"""``keyhouse models``."""

from app.cli.nouns.noun import Field, Line, Noun, Rows, Said, Sheet, Verb, read_count, read_secret, read_texts
from app.cli.tables import Column

_ID = Field("id", "model_id")
_TERMS = (
    Field(
        "api-key", "litellm_params.api_key", "The provider's key, or @FILE; the environment's unless set.", read_secret
    ),
    Field("api-base", "litellm_params.api_base", "The provider's address; its own unless set."),
    Field("credential", "litellm_params.litellm_credential_name", "A stored credential, in place of the two."),
    Field("weight", "litellm_params.weight", "Its share among deployments of one name.", read_count),
    Field("access-groups", "model_info.access_groups", "Comma separated; keys may name a group.", read_texts),
    Field("base-model", "model_info.base_model", "Whose prices it has, where its name does not say."),
    Field("display-name", "model_info.display_name", "What people read."),
    Field("description", "model_info.description", "What people read below it."),
)
MODELS = Noun(
    "models",
    "Make, list, change and delete deployments of models while the gateway runs.",
    (
        Verb(
            "create",
            "Make a deployment of a model; prints its id.",
            "sonnet anthropic/claude-sonnet-4-5 --api-key @key.txt --access-groups coding",
            "/model/new",
            Line("model_id"),
            arguments=(Field("name", "model_name"), Field("model", "litellm_params.model")),
            options=_TERMS,
        ),
        Verb(
            "list",
            "What is served, each deployment a row; those of the file are in no database.",
            "--search sonnet",
            "/v2/model/info",
            Rows(
                (
                    Column("name", "model_name", gives=True),
                    Column("model", "litellm_params.model", gives=True),
                    Column("id", "model_info.id"),
                    Column("in database", "model_info.db_model", lesser=True),
                    Column("price from", "model_info.price_source", lesser=True),
                    Column("groups", "model_info.access_groups", gives=True, lesser=True),
                    Column("blocked", "model_info.blocked"),
                    Column("not served", "model_info.unusable", gives=True),
                ),
                "deployments",
                at="data",
            ),
            "GET",
            options=(
                Field("search", "search", "Only with this in the name."),
                Field("name", "model", "Only of this name."),
                Field("group", "access_group", "Only of this access group."),
            ),
        ),
        Verb(
            "show",
            "One deployment, with its prices.",
            "dep_01k...",
            "/model/info",
            Sheet(
                (
                    "model_name",
                    "litellm_params.model",
                    "litellm_params.api_base",
                    "litellm_params.litellm_credential_name",
                    "litellm_params.weight",
                    *(
                        f"model_info.{name}"
                        for name in (
                            "id",
                            "db_model",
                            "blocked",
                            "unusable",
                            "display_name",
                            "description",
                            "access_groups",
                            "max_input_tokens",
                            "max_output_tokens",
                            "price_source",
                            "input_cost_per_token",
                            "output_cost_per_token",
                            "cache_read_input_token_cost",
                            "cache_creation_input_token_cost",
                            "created_at",
                            "created_by",
                        )
                    ),
                ),
                at="data.0",
            ),
            "GET",
            arguments=(Field("id", "litellm_model_id"),),
        ),
        Verb(
            "update",
            'Change what is given; "none" clears it. Who changes the address gives the key anew.',
            "dep_01k... --weight 3",
            "/model/{id}/update",
            Said("{id}: changed"),
            "PATCH",
            arguments=(_ID,),
            options=(
                Field("name", "model_name", "The name that is asked for."),
                Field("model", "litellm_params.model", "provider/name."),
                *_TERMS,
            ),
        ),
        Verb(
            "block",
            "Serve a deployment no more.",
            "dep_01k...",
            "/model/block",
            Said("{id}: blocked"),
            arguments=(_ID,),
        ),
        Verb(
            "unblock",
            "Serve a blocked deployment again.",
            "dep_01k...",
            "/model/unblock",
            Said("{id}: served again"),
            arguments=(_ID,),
        ),
        Verb(
            "delete",
            "Delete a deployment for good; its receipts stay.",
            "dep_01k...",
            "/model/delete",
            Said("{id}: deleted"),
            arguments=(Field("id", "id"),),
            warns="Delete the deployment {id}?",
        ),
    ),
)
