"""The way of a query in and of its reply out: front door, queue, outbox."""
