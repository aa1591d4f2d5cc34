"""docs/settings.md from the settings themselves: names, defaults and the sentences that stand under them in the code.

python -m counterfoil.settings_page > docs/settings.md
"""

import ast
import inspect
from dataclasses import fields

from counterfoil import settings
from counterfoil.settings import ENVIRONMENT_PREFIX, Settings

_HEAD = """# Settings

Made from the code (`make settings-page`). A setting comes from an option of the command line, over `COUNTERFOIL_<NAME>` in
the environment, over the TOML file of `--config` (or `COUNTERFOIL_CONFIG`), over its default. The file has one section:

```toml
[counterfoil]
lifetime_default_s = 30
service_context = '{"stage": "prod"}'
```

Yes and no are `true` and `false`. A name that is not in this table is refused in the file; in the environment it is not
looked at.

| setting | default | what |
|---|---|---|
"""

_TAIL = """
## Secrets
Every secret comes from a file. None has to be in the environment or on a command line, which more than its owner can see.

| secret | its file | mode |
|---|---|---|
| data keys | `keyset.json` in `data`, or the file that `keys` names | 0600 or 0400; any other is refused |
| digests of the credentials | `credentials.json` in `data`, or `credentials` | 0600 or 0400; any other is refused |
| the certificate's private key | `tls_key` | 0600, or whatever hands it to the service alone |
| the service context | `service_context` in the file of `--config` | 0600, or whatever hands it to the service alone |
| a caller's own credential | `--credential-file` of `issue`, `validate`, `revoke` and `context seal` | 0600 |

Links are followed, and it is the mode of the file behind them that counts. A keyset or a list of credentials that has changed
is read again at the next request; certificate and settings are read at the start. AWS's credentials
are not settings: [operations](operations.md#how-aws-is-asked) says where they come from.
"""


def settings_page() -> str:
    """The page."""
    sentences = setting_sentences()
    rows = [f"| `{each.name}` | {_shown(each.default)} | {sentences[each.name]} |" for each in fields(Settings)]
    return _HEAD + "\n".join(rows) + "\n" + _TAIL


def setting_sentences() -> dict[str, str]:
    """What stands under each setting in the code."""
    body = ast.parse(inspect.getsource(settings)).body
    (declared,) = [node for node in body if isinstance(node, ast.ClassDef) and node.name == Settings.__name__]
    found: dict[str, str] = {}
    for node, below in zip(declared.body, declared.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            assert isinstance(below, ast.Expr)
            assert isinstance(below.value, ast.Constant)
            found[node.target.id] = str(below.value.value)
    return found


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if str(value) else ""


if __name__ == "__main__":
    assert ENVIRONMENT_PREFIX in _HEAD
    print(settings_page(), end="")
