# What the other files share: names, and the functions as `keyferry lambda package` makes them.

locals {
  prefix = "keyferry-${var.migration}"

  # What each function needs. `reserved` keeps a tick that overlaps the last one from doing the same work twice.
  copying = {
    plan     = { memory = var.memory, timeout = 900, reserved = 1, scratch = var.scratch }
    dispatch = { memory = var.memory, timeout = 300, reserved = 1, scratch = var.scratch }
    backfill = { memory = var.memory, timeout = var.timeout, reserved = var.functions, scratch = var.scratch }
    verify   = { memory = var.memory, timeout = var.timeout, reserved = var.functions, scratch = var.scratch }
    sweep    = { memory = 512, timeout = 60, reserved = 1, scratch = 512 }
  }
  # One at a time: a tick that finds it at work is refused, and the next one carries what came since. Where a stream calls it
  # too, a second one has a place, so that a tick is not kept away by calls that come again; the tail's lease keeps them apart.
  following = {
    tail = { memory = var.memory, timeout = var.timeout, reserved = length(local.waking) == 0 ? 1 : 2, scratch = var.scratch }
  }
  functions = { for name, needs in merge(local.copying, local.following) : name => needs if(name == "tail") == var.follows }

  # Those that read or write records, and so need what the stores need; sweep looks at the state alone.
  reaches_stores = toset(["plan", "dispatch", "backfill", "verify", "tail"])

  state_table = var.state_table == null ? {
    name = aws_dynamodb_table.state[0].name
    arn  = aws_dynamodb_table.state[0].arn
    } : {
    name = var.state_table.name
    arn  = var.state_table.arn
  }
}
