"""`serve`: the service in this process. It makes nothing that it needs by itself."""

import logging
import sys
from pathlib import Path

import rich_click as click

from counterfoil.entrypoints.commands.options import as_json, say, settings_from, show_json, with_settings
from counterfoil.entrypoints.http_server import serve as serve_http
from counterfoil.entrypoints.server_log import log_to_stderr

_log = logging.getLogger(__name__)


@click.command()
@with_settings
@click.option("--host", help="Address to listen on; 127.0.0.1 by default.")
@click.option("--port", type=int, help="TCP port; 8080 by default, 0 for a free one.")
@click.option("--tls-cert", help="Certificate chain, PEM.")
@click.option("--tls-key", help="Its private key, PEM.")
@click.option("--tls-terminated-upstream", is_flag=True, default=None, help="A proxy in front speaks TLS.")
@click.option("--seed-routes/--no-seed-routes", default=None, help="Serve generateOtp, validateOtp, invalidateOtp.")
@click.option("--console/--no-console", default=None, help="Serve the console, at /console.")
@as_json
def serve(config: Path | None, data: Path | None, as_json: bool, **overrides: str | int | bool | None) -> None:
    """Run the service until it is told to stop.

    It needs a keyset (`keyset new`) and credentials (`credential create`), and never makes them by itself.

    Example: counterfoil serve --data my-counterfoil --port 8080
    """
    settings = settings_from(config, data, **overrides)
    form = log_to_stderr(settings.log_level, settings.log_format)

    def ready(url: str) -> None:
        if as_json:
            show_json({"url": url})
        elif form == "json":
            _log.info("Counterfoil serves %s", url)
        else:
            say(f"Counterfoil serves {url}")

    sys.exit(serve_http(settings, ready))
