"""Turns templates into pages: everything is escaped, a name that is missing is an error."""

from functools import cache
from http import HTTPStatus
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from overt.alerts import words
from overt.alerts.judging import ENGAGEMENTS, OUTCOMES, REASONS, VERDICTS

HERE = Path(__file__).parent
STATIC = HERE / "static"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, reasons=REASONS, verdicts=VERDICTS)
    environment.globals.update(engagements=ENGAGEMENTS, outcomes=OUTCOMES)
    return environment


def page(template: str, status: int = HTTPStatus.OK, **context: object) -> HTMLResponse:
    """Return the page that `template` makes of `context`."""
    return HTMLResponse(_environment().get_template(template).render(**context), status)


def message(title: str, text: str, status: int) -> HTMLResponse:
    """Return a page that only says something."""
    return page("message.html", status, title=title, text=text)
