# Items of chunks for backfill, which dispatch sends; and what nobody could do, for people.

locals {
  consumes_queue = var.fan_out == "queue"
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${local.prefix}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue" "items" {
  name = "${local.prefix}-items"
  # Six times the function's timeout, so that an item that is being worked on is not handed out a second time.
  visibility_timeout_seconds = 6 * var.timeout
  message_retention_seconds  = 345600
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    # An item comes again whenever time ran out before its chunks were done: that is no failure.
    maxReceiveCount = 100
  })
  tags = var.tags
}

resource "aws_lambda_event_source_mapping" "items" {
  count = local.consumes_queue ? 1 : 0

  event_source_arn        = aws_sqs_queue.items.arn
  function_name           = aws_lambda_function.function["backfill"].arn
  enabled                 = var.enabled
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    # At least 2, as SQS wants it; the function's reserved concurrency is the limit.
    maximum_concurrency = max(2, var.functions)
  }
}
