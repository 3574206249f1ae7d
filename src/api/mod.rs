//! SPEAKS Kafka: one file per API; owns nothing that outlives a request.
