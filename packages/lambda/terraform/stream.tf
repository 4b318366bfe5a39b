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

  dynamic "filter_criteria" {
    for_each = each.value.hash_key == null ? [] : [each.value.hash_key]
    content {
      filter {
        pattern = jsonencode({
          dynamodb = { Keys = { (filter_criteria.value) = { S = [{ anything-but = { prefix = "_keyferry/" } }] } } }
        })
      }
    }
  }

  tags = var.tags
}
