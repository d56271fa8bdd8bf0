//! What is not a connection yet: listeners, half-open records, initial sequence numbers.
