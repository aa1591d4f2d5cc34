"""`counterfoil` on a loop of one's choice, that remembers its looks at files for as long as one says: the negative control.

python -m tests.support.looking_server asyncio|uvloop SECONDS serve …
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import uvloop

from counterfoil.entrypoints import cli, http_server
from counterfoil.private_file import Watched


def main() -> None:
    """The command line after the two words of its own."""
    loop, remembered_s = sys.argv[1], float(sys.argv[2])
    del sys.argv[1:3]
    new_loop: Callable[[], Any] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[loop]
    http_server._loop_factory = lambda: new_loop
    if remembered_s:
        forget = Watched._forget

        def later(watched: Watched[Any]) -> None:
            asyncio.get_running_loop().call_later(remembered_s, forget, watched)

        setattr(Watched, "_forget", later)  # noqa: B010 - mypy would have it generic
    cli.main()


if __name__ == "__main__":
    main()
