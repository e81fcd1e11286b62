"""The alerts service over Kafka, as two processes: `stream` folds and publishes, `api` shows and takes judgements."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

import httpx

from overt.alerts.control_http import HttpReferences, HttpStop
from overt.alerts.service import build_backstage, build_intake, build_room, open_base
from overt.alerts.settings import ApiSettings, StreamSettings
from overt.alerts.stream import MatchStream
from overt.alerts.stream_app import Cluster
from overt.alerts.taking import Taker
from overt.contracts.context import Context
from overt.contracts.standalone import main
from overt.runtime.loop import LoopLimits
from overt.runtime.process import MISUSED, Runner
from overt.runtime.settings import ServiceSettings


def stream_runners(context: Context, settings: StreamSettings) -> Mapping[str, Runner]:
    """Build the stream and what runs beside it. Raises CannotBegin."""
    base = open_base(context, settings.options())
    references = HttpReferences(settings.control_url, settings.service_token, httpx.Client(trust_env=False))
    taking = build_intake(base)
    taker = Taker(context, taking.intake, taking.orders, limits=LoopLimits())
    cluster = Cluster(settings.kafka_bootstrap, settings.kafka_login, settings.kafka_instance_id)
    stream = MatchStream(cluster, taker, context.health, context.clock)
    return {"alerts": stream.run, **build_backstage(base, references).runners}


def api_runners(context: Context, settings: ApiSettings) -> Mapping[str, Runner]:
    """Build, take the port, then print a login link for everybody: they live 15 minutes. Raises CannotBegin."""
    base = open_base(context, settings.options())
    stop = HttpStop(settings.control_url, settings.service_token, httpx.Client(trust_env=False))
    room = build_room(base, stop_deployment=stop)
    web = room.web()
    # To standard output, not to the log: a link is for a person, once.
    for name, _, url in room.login_links(web.url):
        sys.stdout.write(f"{name}: {url}\n")
    sys.stdout.flush()
    return {**room.runners, "alerts-web": web.run}


def command(arguments: Sequence[str]) -> int:
    """Run the process that `arguments` name and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m overt.alerts", description=__doc__)
    parts = parser.add_subparsers(dest="part", metavar="{stream,api}")
    for name, settings in (("stream", StreamSettings), ("api", ApiSettings)):
        parts.add_parser(
            name,
            description=settings.__doc__,
            epilog=_listed(settings),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    part = parser.parse_args(arguments).part
    if part == "stream":
        return main("alerts", StreamSettings, stream_runners)
    if part == "api":
        return main("alerts-api", ApiSettings, api_runners, user="alerts")
    parser.print_usage(sys.stderr)
    return MISUSED


def _listed(settings: type[ServiceSettings]) -> str:
    lines = ["settings, from the environment:"]
    for name, known in settings.model_fields.items():
        default = "required" if known.is_required() else f"default: {known.get_default()}"
        lines += [f"  OVERT_{name.upper()} ({default})", f"      {known.description}"]
    return "\n".join(lines)


if __name__ == "__main__":
    code = command(sys.argv[1:])
    # A Faust that broke, and so was not stopped, leaves threads that never end: Python would wait for them.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
