"""The clouds' libraries cost nothing until a cloud is called, and none of them needs a second HTTP client."""

import subprocess
import sys

IMPORTS = "from app.providers import azure, bedrock, vertex, upstream; import sys"
WITHOUT_REQUESTS = """
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "requests":
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
from app.providers.vertex import _KINDS
for module in ("aws", "_cloud_sdk", "credentials", "exceptions"):
    importlib.import_module("google.auth." + module)
for module, _ in _KINDS.values():
    importlib.import_module(module)
import botocore.auth, botocore.session
"""


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_start_loads_no_library_of_a_cloud() -> None:
    loaded = _run(IMPORTS + "; print(*sorted({name.partition('.')[0] for name in sys.modules}))").split()
    assert not {"botocore", "google", "requests", "urllib3"} & set(loaded)


def test_what_is_used_of_them_does_without_requests() -> None:
    _run(WITHOUT_REQUESTS)
