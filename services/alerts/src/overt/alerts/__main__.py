"""The alerts service as a process of its own, over Kafka: loop, relay, cards and the control room's pages."""

import sys
from collections.abc import Mapping

import httpx

from overt.alerts.control_http import HttpReferences, HttpStop
from overt.alerts.service import build
from overt.alerts.settings import AlertsSettings
from overt.contracts.context import Context
from overt.contracts.standalone import main
from overt.runtime.process import Runner


def runners(context: Context, settings: AlertsSettings) -> Mapping[str, Runner]:
    """Build, take the port, then print a login link for everybody: they live 15 minutes. Raises CannotBegin."""
    client = httpx.Client()
    service = build(
        context,
        settings.options(),
        HttpReferences(settings.control_url, settings.service_token, client),
        stop_deployment=HttpStop(settings.control_url, settings.service_token, client),
    )
    web = service.web()
    # To standard output, not to the log: a link is for a person, once.
    for name, _, url in service.login_links(web.url):
        sys.stdout.write(f"{name}: {url}\n")
    sys.stdout.flush()
    return {**service.runners, "alerts-web": web.run}


if __name__ == "__main__":
    sys.exit(main("alerts", AlertsSettings, runners))
