# The state: one table, on demand. Its keys are those of `keyferry state create-table`.

resource "aws_dynamodb_table" "state" {
  count = var.state_table == null ? 1 : 0

  name                        = var.state_table_name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = true

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  # Only what may expire has one: events, when state.dynamodb.eventsKept says so.
  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }

  # The way back goes by the state.
  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = length(var.kms_keys) > 0
    kms_key_arn = length(var.kms_keys) > 0 ? var.kms_keys[0] : null
  }

  tags = var.tags
}
