resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${local.prefix}-${each.key}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_lambda_function" "function" {
  for_each = local.functions

  function_name = "${local.prefix}-${each.key}"
  description   = "keyferry ${each.key} of migration ${var.migration}"
  role          = aws_iam_role.function[each.key].arn

  filename         = "${var.functions_dir}/${each.key}.zip"
  source_code_hash = filebase64sha256("${var.functions_dir}/${each.key}.zip")
  handler          = "index.handler"
  runtime          = var.runtime
  architectures    = ["arm64"]

  memory_size                    = each.value.memory
  timeout                        = each.value.timeout
  reserved_concurrent_executions = each.value.reserved

  ephemeral_storage {
    size = each.value.scratch
  }

  environment {
    variables = merge(
      var.environment,
      { NODE_OPTIONS = "--enable-source-maps" },
      # dispatch fills it, backfill gives back what it could not finish.
      local.consumes_queue && contains(["dispatch", "backfill"], each.key) ? { KEYFERRY_QUEUE_URL = aws_sqs_queue.items.url } : {},
    )
  }

  # Each line is JSON of keyferry's own; Lambda's beside it are too.
  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  # What Lambda itself gives up on, of asynchronous calls.
  dead_letter_config {
    target_arn = aws_sqs_queue.dead_letters.arn
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  tags = var.tags

  depends_on = [aws_iam_role_policy.function]
}

# A tick that was missed is made up for by the next one: nothing is called twice, and nothing waits.
resource "aws_lambda_function_event_invoke_config" "function" {
  for_each = local.functions

  function_name                = aws_lambda_function.function[each.key].function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}
