# Ticks: at least once, within a minute, and perhaps two at a time. Everything that they call may be called twice.

locals {
  # By name: what is called, and how many times a tick.
  ticks = merge(
    { dispatch = 1, sweep = 1 },
    var.fan_out == "schedule" ? { backfill = var.functions, verify = 1 } : {},
    # Verification has no items in a queue: a tick does it.
    var.fan_out == "queue" ? { verify = 1 } : {},
  )

  # With a map, the state machine calls dispatch; a tick of dispatch itself would only be in its way.
  called = { for name, count in merge(local.ticks, { tail = 1 }) : name => count
  if(name == "tail") == var.follows && (name == "sweep" || var.fan_out != "map") }

  scheduled = toset(keys(local.called))

  schedules = merge([
    for name, count in local.called : { for i in range(count) : "${name}-${i}" => name }
  ]...)
}

resource "aws_scheduler_schedule_group" "ticks" {
  name = local.prefix
  tags = var.tags
}

resource "aws_scheduler_schedule" "tick" {
  for_each = local.schedules

  name                = each.key
  group_name          = aws_scheduler_schedule_group.ticks.name
  state               = var.enabled ? "ENABLED" : "DISABLED"
  schedule_expression = var.tick

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.function[each.value].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = "{}"

    # The next tick does what this one has missed.
    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }

    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
  }
}

resource "aws_scheduler_schedule" "fan_out" {
  count = var.fan_out == "map" ? 1 : 0

  name                = "fan-out"
  group_name          = aws_scheduler_schedule_group.ticks.name
  state               = var.enabled ? "ENABLED" : "DISABLED"
  schedule_expression = var.fan_out_every

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.fan_out[0].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = "{}"

    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }

    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
  }
}
