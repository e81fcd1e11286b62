"""`overt topics`: the topics as code, put onto a real Kafka."""

from typing import Annotated

import typer

from overt.cli.progress import say
from overt.contracts.topic_specs import topic_specs
from overt.runtime.kafka_admin import create_topics

topics_app = typer.Typer(no_args_is_help=True, help="Create the topics on Apache Kafka.")


@topics_app.command(epilog="Example:  overt topics apply --kafka 127.0.0.1:9092")
def apply(
    kafka: Annotated[str, typer.Option(help="Bootstrap address.", envvar="OVERT_KAFKA_BOOTSTRAP")],
) -> None:
    """Create the topics that are missing, with partitions, retention and compaction from the table."""
    create_topics(kafka, topic_specs())
    say(f"every topic is there: {len(topic_specs())}")
