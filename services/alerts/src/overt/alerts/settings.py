"""What the alerts service can be told: `AlertsOptions` for whoever builds it, settings for its two processes."""

from typing import Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from overt.runtime.settings import Port, ServiceSettings

NO_CALIBRATION = "no measured false-positive identification rate is on record for this threshold"
LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


class AlertsOptions(BaseModel):
    """The service's own knobs, the same in one process and over Kafka."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str = Field(
        min_length=1,
        repr=False,  # it may hold a password
        description="SQLAlchemy address of the database, such as sqlite:////var/lib/overt/alerts.db.",
    )
    window_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Matches of one entry no further apart than this are one alert.",
    )
    ack_deadline_s: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="An alert that nobody judges for so long is escalated, and again every time as long.",
    )
    first_look_hides_score: bool = Field(
        default=True,
        description="Whether the similarity stays hidden from a person until that person has judged.",
    )
    calibration: str = Field(
        default=NO_CALIBRATION,
        min_length=1,
        max_length=400,
        description="Words on the measured false-positive identification rate at the threshold, shown beside scores.",
    )
    host: str = Field(default="127.0.0.1", description="Loopback address of the control room's pages.")
    port: int = Field(
        default=8080, ge=0, le=65_535, description="Port of the control room; 0 takes any free one."
    )
    timezone: str | None = Field(
        default=None,
        description="Time zone of the pages, such as Europe/London; the machine's own if not given.",
    )
    operators: int = Field(
        default=2, ge=2, le=50, description="How many operators may sign in; two must judge."
    )
    engagement_officers: int = Field(
        default=1, ge=1, le=50, description="How many engagement officers may sign in."
    )
    supervisors: int = Field(default=1, ge=1, le=50, description="How many supervisors may sign in.")

    @model_validator(mode="after")
    def _stays_on_this_machine(self) -> Self:
        if self.host not in LOOPBACK:
            raise ValueError(
                "one-time login links are for loopback only: host must be 127.0.0.1, localhost or ::1"
            )
        if self.timezone is not None:
            ZoneInfo(self.timezone)  # raises ZoneInfoNotFoundError, a KeyError with the name
        return self


class DatabaseSettings(ServiceSettings):
    """What both processes of the service are told, from `OVERT_…` variables."""

    alerts_database_url: SecretStr = Field(
        default=SecretStr("sqlite:///data/alerts.db"),
        description="SQLAlchemy address of the database: sqlite:///FILE (created when it is missing) or "
        "postgresql+psycopg://USER:PASSWORD@HOST/NAME.",
    )


class StreamSettings(DatabaseSettings):
    """`python -m overt.alerts stream`: folds matches into alerts and publishes what changed."""

    health_port: Port = Field(default=9105, description="Port of /healthz, /readyz and /metrics.")
    alerts_window_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Matches of one entry no further apart than this are one alert.",
    )
    alerts_ack_deadline_s: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="An alert that nobody judges for so long is escalated, and again every time as long.",
    )

    def options(self) -> AlertsOptions:
        """Return the options that these settings say."""
        return AlertsOptions(
            database_url=self.alerts_database_url.get_secret_value(),
            window_s=self.alerts_window_s,
            ack_deadline_s=self.alerts_ack_deadline_s,
        )


class ApiSettings(DatabaseSettings):
    """`python -m overt.alerts api`: the control room's pages, and people's judgements."""

    health_port: Port = Field(default=9106, description="Port of /healthz, /readyz and /metrics.")
    alerts_first_look_hides_score: bool = Field(
        default=True,
        description="Whether the similarity stays hidden from a person until that person has judged.",
    )
    alerts_calibration: str = Field(
        default=NO_CALIBRATION,
        min_length=1,
        max_length=400,
        description="Words on the measured false-positive identification rate at the threshold.",
    )
    alerts_port: Port = Field(default=8080, description="Loopback port of the control room's pages.")
    alerts_timezone: str | None = Field(
        default=None, description="Time zone of the pages; the machine's own if unset."
    )

    def options(self) -> AlertsOptions:
        """Return the options that these settings say."""
        return AlertsOptions(
            database_url=self.alerts_database_url.get_secret_value(),
            first_look_hides_score=self.alerts_first_look_hides_score,
            calibration=self.alerts_calibration,
            port=self.alerts_port,
            timezone=self.alerts_timezone,
        )
