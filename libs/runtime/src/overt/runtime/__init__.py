"""What a streaming service of any product needs: a loop over Kafka, sealed payloads, settings, logs, metrics."""
