# What the module would make, on a mocked provider: no credentials, no network; the provider's real schema still judges.
# functions_dir comes from whoever runs this: a folder with the zips.

mock_provider "aws" {
  override_during = plan

  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/keyferry" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/keyferry" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:keyferry" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:keyferry" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:keyferry" }
  }
  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:keyferry" }
  }
}

variables {
  migration = "config-v2-to-v3"
  functions = 3
}

run "by_default" {
  command = plan

  assert {
    condition     = toset(keys(aws_lambda_function.function)) == toset(["plan", "dispatch", "backfill", "verify", "sweep"])
    error_message = "There is a function for each handler."
  }
  assert {
    condition = alltrue([
      for function in aws_lambda_function.function :
      function.handler == "index.handler" && function.architectures == tolist(["arm64"]) && function.runtime == var.runtime
    ])
    error_message = "Functions run what `keyferry lambda package` made, on arm64, with the runtime that was asked for."
  }
  assert {
    condition     = aws_lambda_function.function["dispatch"].reserved_concurrent_executions == 1 && aws_lambda_function.function["backfill"].reserved_concurrent_executions == 3
    error_message = "One dispatch at a time, and as many copy as may."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.function : length(function.vpc_config) == 0])
    error_message = "Without vpc no function is in one."
  }
  assert {
    condition     = length(aws_scheduler_schedule.tick) == 6 && length([for name in keys(aws_scheduler_schedule.tick) : name if startswith(name, "backfill-")]) == 3
    error_message = "Each tick calls dispatch, sweep and verify once, and backfill as often as functions may copy."
  }
  assert {
    condition = alltrue([
      for tick in aws_scheduler_schedule.tick :
      tick.target[0].retry_policy[0].maximum_retry_attempts == 0 && tick.target[0].retry_policy[0].maximum_event_age_in_seconds == 60
    ])
    error_message = "A tick that was missed is not repeated."
  }
  assert {
    condition     = aws_sqs_queue.items.visibility_timeout_seconds >= 6 * aws_lambda_function.function["backfill"].timeout
    error_message = "An item that is being worked on is not handed out again."
  }
  assert {
    condition     = length(aws_sfn_state_machine.fan_out) == 0 && length(aws_lambda_event_source_mapping.items) == 0
    error_message = "With a schedule there is neither state machine nor consumer of the queue."
  }
  assert {
    condition     = aws_dynamodb_table.state[0].hash_key == "pk" && aws_dynamodb_table.state[0].range_key == "sk" && aws_dynamodb_table.state[0].billing_mode == "PAY_PER_REQUEST" && aws_dynamodb_table.state[0].deletion_protection_enabled
    error_message = "The table is as `keyferry state create-table` makes it."
  }
  assert {
    condition     = one(aws_dynamodb_table.state[0].ttl).attribute_name == "expiresAt" && one(aws_dynamodb_table.state[0].ttl).enabled
    error_message = "What may expire does."
  }
  assert {
    condition     = toset([for alarm in aws_cloudwatch_metric_alarm.migration : alarm.metric_name]) == toset(["Still", "DeadLettersTotal", "Deviations", "Refused"])
    error_message = "What a person has to know has an alarm."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.migration : alarm.dimensions == tomap({ Migration = "config-v2-to-v3" })])
    error_message = "Alarms are of this migration's metrics."
  }
}

run "policies_name_their_resources" {
  command = plan

  variables {
    source_tables  = ["arn:aws:dynamodb:eu-west-1:123456789012:table/old"]
    target_tables  = ["arn:aws:dynamodb:eu-west-1:123456789012:table/new"]
    ssm_parameters = ["arn:aws:ssm:eu-west-1:123456789012:parameter/etcd"]
    secrets        = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:etcd-AbCdEf"]
    kms_keys       = ["arn:aws:kms:eu-west-1:123456789012:key/1"]
  }

  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.function), [aws_iam_role_policy.scheduler]) : [
        for statement in jsondecode(policy.policy).Statement : [
          for resource in statement.Resource : statement.Sid == "Logs" ? endswith(resource, ":*") : !strcontains(resource, "*")
        ]
      ]
    ]))
    error_message = "No resource is a wildcard, but the streams of a function's own log group."
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : [for action in statement.Action : !strcontains(action, "*")]
      ]
    ]))
    error_message = "No action is a wildcard."
  }
  assert {
    condition     = toset([for statement in jsondecode(aws_iam_role_policy.function["sweep"].policy).Statement : statement.Sid]) == toset(["Logs", "DeadLetters", "State", "Keys"])
    error_message = "Sweep looks at the state alone."
  }
  assert {
    condition     = toset([for statement in jsondecode(aws_iam_role_policy.function["backfill"].policy).Statement : statement.Sid]) == toset(["Logs", "DeadLetters", "State", "Source", "Target", "Parameters", "Secrets", "Keys"])
    error_message = "Backfill reaches stores and secrets."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["backfill"].policy).Statement :
      statement.Sid != "Source" || !anytrue([for action in statement.Action : strcontains(action, "Put") || strcontains(action, "Delete") || strcontains(action, "Update")])
    ])
    error_message = "Nothing may write to the source."
  }
}

run "in_a_vpc" {
  command = plan

  variables {
    vpc = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.function : function.vpc_config[0].subnet_ids == toset(["subnet-1", "subnet-2"])])
    error_message = "All functions are in the VPC that was named."
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : statement.Sid == "Network" || !contains(statement.Resource, "*")
      ]
    ]))
    error_message = "Only network interfaces have no resource to name."
  }
}

run "shared_out_by_a_map" {
  command = plan

  variables {
    fan_out = "map"
  }

  assert {
    condition     = keys(aws_scheduler_schedule.tick) == ["sweep-0"] && length(aws_scheduler_schedule.fan_out) == 1
    error_message = "The state machine calls all but sweep."
  }
  assert {
    condition = alltrue([
      for name in ["Backfill", "Verify"] :
      jsondecode(aws_sfn_state_machine.fan_out[0].definition).States[name].ItemProcessor.ProcessorConfig.Mode == "DISTRIBUTED" &&
      jsondecode(aws_sfn_state_machine.fan_out[0].definition).States[name].MaxConcurrency == 3 &&
      jsondecode(aws_sfn_state_machine.fan_out[0].definition).States[name].ItemsPath == "$.dispatched.items"
    ])
    error_message = "Maps are distributed, over dispatch's items, with as many functions at once as may be."
  }
  assert {
    condition = alltrue([
      for choice in jsondecode(aws_sfn_state_machine.fan_out[0].definition).States["What is next?"].Choices :
      contains(keys(jsondecode(aws_sfn_state_machine.fan_out[0].definition).States), choice.Next)
    ])
    error_message = "What is next leads to a state that is there."
  }
  assert {
    condition     = alltrue(flatten([for statement in jsondecode(aws_iam_role_policy.state_machine[0].policy).Statement : [for resource in statement.Resource : !strcontains(resource, "*")]]))
    error_message = "The state machine's policy names its resources."
  }
}

run "shared_out_by_a_queue" {
  command = plan

  variables {
    fan_out = "queue"
  }

  assert {
    condition     = one(aws_lambda_event_source_mapping.items).function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "Only items that were not done come again."
  }
  assert {
    condition     = length([for statement in jsondecode(aws_iam_role_policy.function["backfill"].policy).Statement : statement if statement.Sid == "Queue"]) == 1
    error_message = "Backfill may read the queue."
  }
  assert {
    condition = alltrue([
      for name in ["dispatch", "backfill"] :
      lookup(aws_lambda_function.function[name].environment[0].variables, "KEYFERRY_QUEUE_URL", "") == aws_sqs_queue.items.url
    ]) && !contains(keys(aws_lambda_function.function["verify"].environment[0].variables), "KEYFERRY_QUEUE_URL")
    error_message = "Those who put items into the queue and give them back know it, and nobody else."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.function["dispatch"].policy).Statement :
      statement.Sid == "Queue" && toset(statement.Action) == toset(["sqs:GetQueueAttributes", "sqs:SendMessage"])
    ])
    error_message = "Dispatch may look into the queue and send."
  }
  assert {
    condition     = length([for name in keys(aws_scheduler_schedule.tick) : name if startswith(name, "backfill-")]) == 0
    error_message = "No tick copies beside the queue."
  }
}

run "with_a_table_that_is_there" {
  command = plan

  variables {
    state_table = { name = "ours", arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/ours" }
  }

  assert {
    condition     = length(aws_dynamodb_table.state) == 0 && output.state_table.name == "ours"
    error_message = "No other table is made."
  }
}

run "traced" {
  command = plan

  variables {
    tracing = true
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.function : function.tracing_config[0].mode == "Active"])
    error_message = "Each function is traced."
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : statement.Sid == "Traces" || statement.Sid == "Logs" || !contains(statement.Resource, "*")
      ]
    ]))
    error_message = "Only traces have no resource to name."
  }
}

run "follows" {
  command = plan

  variables {
    follows = true
  }

  assert {
    condition     = keys(aws_lambda_function.function) == ["tail"] && aws_lambda_function.function["tail"].reserved_concurrent_executions == 1
    error_message = "Strategy replicate has one function, which works once at a time."
  }
  assert {
    condition     = keys(aws_scheduler_schedule.tick) == ["tail-0"]
    error_message = "Each tick calls it once."
  }
  assert {
    condition     = contains([for statement in jsondecode(aws_iam_role_policy.function["tail"].policy).Statement : statement.Sid], "State")
    error_message = "It may use the state."
  }
}

run "follows_a_table" {
  command = plan

  variables {
    follows       = true
    source_tables = ["arn:aws:dynamodb:eu-west-1:123456789012:table/old"]
    streams       = [{ arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/old/stream/2026-11-28T10:22:00.633" }]
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["tail"].policy).Statement : statement if statement.Sid == "Streams"] == [{
      Sid      = "Streams"
      Effect   = "Allow"
      Action   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
      Resource = ["arn:aws:dynamodb:eu-west-1:123456789012:table/old/stream/2026-11-28T10:22:00.633"]
    }]
    error_message = "It may read the stream that was named, and nothing else of streams."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.function["tail"].policy).Statement :
      statement.Sid == "Source" && contains(statement.Action, "dynamodb:PutItem") && contains(statement.Action, "dynamodb:ConditionCheckItem")
    ])
    error_message = "It may mark the table that it follows, and write to it on the way back."
  }
  assert {
    condition     = length(aws_lambda_event_source_mapping.stream) == 0 && aws_lambda_function.function["tail"].reserved_concurrent_executions == 1
    error_message = "Nothing but its tick calls it, unless that was asked for."
  }
}

run "woken_by_a_stream" {
  command = plan

  variables {
    follows       = true
    source_tables = ["arn:aws:dynamodb:eu-west-1:123456789012:table/old"]
    target_tables = ["arn:aws:dynamodb:eu-west-1:123456789012:table/new"]
    streams = [
      { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/old/stream/2026-11-28T10:22:00.633", wakes = true },
      { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/new/stream/2026-11-28T10:23:00.017" },
    ]
  }

  assert {
    condition     = [for mapping in aws_lambda_event_source_mapping.stream : mapping.event_source_arn] == ["arn:aws:dynamodb:eu-west-1:123456789012:table/old/stream/2026-11-28T10:22:00.633"]
    error_message = "Only the stream that is to wake it calls it."
  }
  assert {
    condition = alltrue([
      for mapping in aws_lambda_event_source_mapping.stream :
      mapping.function_response_types == toset(["ReportBatchItemFailures"]) && mapping.maximum_retry_attempts == -1 && mapping.maximum_record_age_in_seconds == -1 && !mapping.bisect_batch_on_function_error
    ])
    error_message = "What is not carried comes again, for as long as the stream has it."
  }
  assert {
    condition = alltrue([
      for mapping in aws_lambda_event_source_mapping.stream :
      jsondecode(one(one(mapping.filter_criteria).filter).pattern).dynamodb.NewImage._keyferryHead.S == [{ exists = false }]
    ])
    error_message = "keyferry's own marks call nobody."
  }
  assert {
    condition     = keys(aws_scheduler_schedule.tick) == ["tail-0"] && aws_lambda_function.function["tail"].reserved_concurrent_executions == 2
    error_message = "Its tick stays, and has a place beside it."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.function["tail"].policy).Statement :
      statement.Sid == "Streams" && contains(statement.Action, "dynamodb:ListStreams") && length(statement.Resource) == 2
    ])
    error_message = "Lambda may read the stream in its name."
  }
}

run "refuses_streams_that_nobody_follows" {
  command = plan

  variables {
    streams = [{ arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/old" }]
  }

  expect_failures = [var.streams]
}

run "switched_off" {
  command = plan

  variables {
    enabled = false
  }

  assert {
    condition     = alltrue([for tick in aws_scheduler_schedule.tick : tick.state == "DISABLED"])
    error_message = "Nothing is called by itself."
  }
}

run "refuses_what_cannot_be" {
  command = plan

  variables {
    migration      = "no spaces, please"
    functions      = 0
    fan_out        = "pigeons"
    timeout        = 901
    ssm_parameters = ["arn:aws:ssm:eu-west-1:123456789012:parameter/*"]
    kms_keys       = ["arn:aws:kms:eu-west-1:123456789012:key/*"]
  }

  expect_failures = [var.migration, var.functions, var.fan_out, var.timeout, var.ssm_parameters, var.kms_keys]
}
