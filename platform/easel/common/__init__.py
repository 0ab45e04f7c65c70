"""What every app may use: refusals, state tables, jobs, the broker and the storage."""
