# What a person has to know at once. The metrics are those that the functions write (namespace Keyferry) and Lambda's own.

locals {
  # Of strategy replicate, in milliseconds.
  follower_alarms = var.follows ? {
    lag = {
      metric      = "Lag"
      threshold   = 60000 * var.still_minutes
      description = "The target is ${var.still_minutes} minutes behind. Look at the log lines of tail, then: keyferry status ${var.migration}"
    }
  } : {}

  # Each by migration, as sweep and the others write them.
  alarms = merge(local.follower_alarms, {
    still = {
      metric      = "Still"
      threshold   = 60 * var.still_minutes
      description = "Nothing has moved for ${var.still_minutes} minutes. Look at the log lines of level error, then: keyferry status ${var.migration}"
    }
    dead-letters = {
      metric      = "DeadLettersTotal"
      threshold   = 0
      description = "Records could not be written. See them: keyferry runs show ${var.migration} --dead-letters"
    }
    deviations = {
      metric      = "Deviations"
      threshold   = 0
      description = "Both sides differ from the plan. See how: keyferry verify ${var.migration}"
    }
    refused = {
      metric      = "Refused"
      threshold   = 0
      description = "The plan that was submitted is refused, or changes cannot be carried. See why: keyferry status ${var.migration}"
    }
  })
}

resource "aws_cloudwatch_metric_alarm" "migration" {
  for_each = local.alarms

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "Keyferry"
  metric_name         = each.value.metric
  dimensions          = { Migration = var.migration }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.functions

  alarm_name          = "${local.prefix}-${each.key}-errors"
  alarm_description   = "Function ${each.key} failed three times in five minutes: a store out of reach, a permission, or a defect."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.function[each.key].function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "dead_letter_queue" {
  alarm_name          = "${local.prefix}-undelivered"
  alarm_description   = "Ticks or items that nobody could do are in ${aws_sqs_queue.dead_letters.name}."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  tags                = var.tags
}
