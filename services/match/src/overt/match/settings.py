"""What the match service can be told: `MatchOptions` for whoever builds it, `MatchSettings` for its process."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from overt.runtime.settings import Port, ServiceSettings

BATCH = Field(default=32, ge=1, le=256, description="Templates searched together at most.")
CANDIDATES = Field(default=5, ge=1, le=20, description="Candidates a match carries at most, the best first.")


class MatchOptions(BaseModel):
    """The service's own knobs, the same in one process and over Kafka."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_batch: int = BATCH
    max_candidates: int = CANDIDATES


class MatchSettings(ServiceSettings):
    """`python -m overt.match`, from `OVERT_…` variables."""

    health_port: Port = Field(default=9104, description="Port of /healthz, /readyz and /metrics.")
    milvus_uri: str = Field(
        min_length=1, description="Milvus, where control enrols: an http or https address."
    )
    milvus_token: SecretStr | None = Field(default=None, description="Milvus' user:password or token.")
    milvus_patience_s: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="How long to wait for Milvus at the start before giving up, in seconds.",
    )
    match_max_batch: int = BATCH
    match_max_candidates: int = CANDIDATES

    def options(self) -> MatchOptions:
        """Return the options that these settings say."""
        return MatchOptions(max_batch=self.match_max_batch, max_candidates=self.match_max_candidates)
