"""Routes that change something: a judgement, an outcome, the stop of a deployment."""

from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import RedirectResponse, Response

from overt.alerts import audit
from overt.alerts.desk import STOP_ROLES, Desk, PostedBy, StopFailed, TheDesk
from overt.alerts.sessions import SignedIn
from overt.alerts.verdicts import Answer, EngagementReport
from overt.contracts.events import AlertVerdict, EngagementResult, Outcome

log = structlog.get_logger()

router = APIRouter()


@router.post("/alerts/{alert_id}/judgement")
def judge(  # noqa: PLR0913 - the fields of one form
    alert_id: str,
    desk: TheDesk,
    session: PostedBy,
    *,
    version: Annotated[int, Form()],
    verdict: Annotated[AlertVerdict, Form()],
    reason: Annotated[str, Form()],
) -> Response:
    """Take a judgement; the person stays on this alert and now sees the score."""
    state = desk.verdicts.judge(Answer(alert_id, version, verdict, reason), session.person)
    desk.on_judged(state)
    return RedirectResponse(f"/alerts/{alert_id}", HTTPStatus.SEE_OTHER)


@router.post("/alerts/{alert_id}/outcome")
def record_outcome(  # noqa: PLR0913 - the fields of one form
    alert_id: str,
    desk: TheDesk,
    session: PostedBy,
    *,
    version: Annotated[int, Form()],
    engagement: Annotated[EngagementResult, Form()],
    outcome: Annotated[Outcome, Form()],
) -> Response:
    """Take what came of an engagement."""
    report = EngagementReport(alert_id, version, engagement, outcome)
    desk.verdicts.record_outcome(report, session.person)
    desk.on_judged("closed")
    return RedirectResponse(f"/alerts/{alert_id}", HTTPStatus.SEE_OTHER)


@router.post("/deployments/{deployment_id}/stop")
def stop(deployment_id: str, desk: TheDesk, session: PostedBy) -> Response:
    """Stop capture at every camera of the deployment; who asked is written down before it is tried."""
    if session.person.role not in STOP_ROLES:
        raise HTTPException(HTTPStatus.FORBIDDEN, "Deployments are stopped by operators and supervisors.")
    if desk.stop_deployment is None or not desk.board.is_active(deployment_id):
        raise HTTPException(HTTPStatus.NOT_FOUND, "No order of this deployment is in force here.")
    _remember(desk, session, "deployment.stop", deployment_id)
    try:
        desk.stop_deployment(deployment_id, session.person.person_id)
    except StopFailed as error:
        _remember(desk, session, "deployment.stop_failed", deployment_id)
        log.error("deployment could not be stopped", deployment_id=deployment_id, reason=str(error))  # noqa: TRY400 - one line
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, f"NOT stopped: {error}. Try again.") from None
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


def _remember(desk: Desk, session: SignedIn, action: str, subject: str) -> None:
    with desk.store.write() as db:
        audit.append(db, audit.Act(desk.clock.now_ns(), session.person.person_id, action, subject))
