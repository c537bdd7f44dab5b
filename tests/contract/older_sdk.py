"""Run by a test in a process of its own, with an older major of the ``anthropic`` SDK first on its path.

Arguments: base URL, virtual key. Prints one JSON object: the SDK's version, the text of a whole answer and of a stream.
"""

import json
import sys

import anthropic


def main(base_url: str, virtual_key: str) -> None:
    client = anthropic.Anthropic(api_key=virtual_key, base_url=base_url, max_retries=0)
    question: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Hello"}]
    whole = client.messages.create(model="claude-sonnet-4-6", max_tokens=50, messages=question)
    with client.messages.stream(model="claude-sonnet-4-6", max_tokens=50, messages=question) as stream:
        streamed = stream.get_final_text()
    text = next(block.text for block in whole.content if block.type == "text")
    listed = [model.id for model in client.models.list()]
    sys.stdout.write(
        json.dumps({"version": anthropic.__version__, "whole": text, "streamed": streamed, "models": listed})
    )


main(*sys.argv[1:])
