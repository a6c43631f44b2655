"""Migration: workflows, queues or events moved from one engine to another, whole and compared.

`migrate` the procedure, a durable workflow · `content` what is compared · one module a room.
"""
