"""`python -m app.sandbox`: plays Meta on loopback until SIGTERM or Ctrl-C."""

import argparse
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from app.sandbox.control import LOOPBACK, Control
from app.sandbox.faults import Faults
from app.sandbox.sender import Sender
from app.sandbox.server import Handler, Server
from app.sandbox.world import Choices, World


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop; returns the exit status."""
    options = _options().parse_args(argv)
    if options.host not in LOOPBACK:
        print("The sandbox listens on this machine only: --host should be 127.0.0.1.", file=sys.stderr)
        return 2
    server = Server((options.host, options.port), Handler)
    base_url = f"http://{options.host}:{server.server_port}"
    choices = Choices(options.latency_ms, options.calls_per_hour, options.pace, hour_seconds=options.hour_seconds)
    server.world = World.made(base_url, choices, people=options.people, seed=options.seed)
    server.faults = Faults()
    server.sender = Sender(server.world, options.webhook_url)
    server.control = Control(server.world, server.faults, server.sender, people=options.people, seed=options.seed)
    _stop_on_signals(server)
    if options.port_file:
        options.port_file.write_text(str(server.server_port))
    print(f"Sandbox listens on {base_url}", flush=True)
    server.sender.start(backlog=options.backlog)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nametag sandbox", description="A stand-in for Meta on this machine.")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default %(default)s)")
    parser.add_argument("--port", type=int, default=8010, help="0 takes any free one (default %(default)s)")
    parser.add_argument("--port-file", type=Path, help="where to write the port")
    parser.add_argument("--webhook-url", help="where signed webhooks go; none are sent without it")
    parser.add_argument("--pace", type=_pace, default="off", help="off, demo, or events a second (default off)")
    parser.add_argument("--people", type=int, default=300, help="how many people there are (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="which people these are (default %(default)s)")
    parser.add_argument("--latency-ms", type=int, default=150, help="of each Graph call (default %(default)s)")
    parser.add_argument("--calls-per-hour", type=int, default=200, help="Meta's limit (default %(default)s)")
    parser.add_argument("--hour-seconds", type=int, default=3600, help="how long that hour lasts (default %(default)s)")
    parser.add_argument("--backlog", type=int, default=0, help="older messages to send first (default 0)")
    return parser


def _pace(value: str) -> str:
    if value not in ("off", "demo") and not 0 < float(value) <= 1000:
        raise ValueError(value)
    return value


def _stop_on_signals(server: Server) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


if __name__ == "__main__":
    sys.exit(main())
