"""Asks AWS: the few operations of DynamoDB and KMS that are used, signed and sent without the SDK (docs/decisions/0018)."""
