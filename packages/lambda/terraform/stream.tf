# Streams that call tail as soon as something changes. A call is a wake-up: tail carries from the position that it has stored,
# and answers with what is not carried yet, which comes again. Its tick makes up for whatever is lost.

locals {
  # By place in the list: an ARN is known only once its table is made.
  waking = { for i, stream in var.streams : i => stream if stream.wakes }
}

resource "aws_lambda_event_source_mapping" "stream" {
  for_each = local.waking

  event_source_arn        = each.value.arn
  function_name           = aws_lambda_function.function["tail"].arn
  enabled                 = var.enabled
  starting_position       = "LATEST"
  function_response_types = ["ReportBatchItemFailures"]

  # What a batch holds is not looked at, so large ones are as good as small ones, and fewer.
  batch_size                         = 1000
  maximum_batching_window_in_seconds = 1
  parallelization_factor             = 1

  # Given up by nobody before the stream itself, after a day: a batch that comes again holds up nothing but further calls.
  # Halves of it would be no easier.
  maximum_retry_attempts         = -1
  maximum_record_age_in_seconds  = -1
  bisect_batch_on_function_error = false

  # tail acknowledges its own marks at once; those that it need not be called for cost nothing. By the attribute that they
  # have (packages/adapters/src/dynamodb/streams/head-marks.ts), as filters of a mapping know no "does not begin with".
  filter_criteria {
    filter {
      pattern = jsonencode({ dynamodb = { NewImage = { _keyferryHead = { S = [{ exists = false }] } } } })
    }
  }

  tags = var.tags
}
