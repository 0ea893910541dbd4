"""A workload for an embedded core: people who queue, talk, loop, escalate, cost, stall and leave.

Rules decide (`scripts`, with the tables of `personas`, `scenarios`, `fleet` and `words`), services do (`visits`,
`operators`, `workload`). `house` puts it together.
"""
