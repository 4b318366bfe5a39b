# Each function has a role of its own, with what it does and nothing else. No statement has a wildcard for a resource, but
# the one for network interfaces, which AWS gives no resource.

locals {
  assume_lambda = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })

  # docs/operations/shared-state.md
  state_statements = [{
    Sid    = "State"
    Effect = "Allow"
    Action = [
      "dynamodb:BatchGetItem",
      "dynamodb:BatchWriteItem",
      "dynamodb:DeleteItem",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
    ]
    Resource = [local.state_table.arn]
  }]

  # packages/adapters/src/dynamodb/README.md
  writes = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
  ]
  # One that is followed is marked, and after a cutover written by the reverse tail.
  source_statements = length(var.source_tables) == 0 ? [] : [{
    Sid      = "Source"
    Effect   = "Allow"
    Action   = concat(["dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:Scan"], var.follows ? local.writes : [])
    Resource = var.source_tables
  }]

  target_statements = length(var.target_tables) == 0 ? [] : [{
    Sid      = "Target"
    Effect   = "Allow"
    Action   = concat(["dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:Scan"], local.writes)
    Resource = var.target_tables
  }]

  # ListStreams is what Lambda asks for, to read a stream in the function's name.
  stream_statements = length(var.streams) == 0 ? [] : [{
    Sid    = "Streams"
    Effect = "Allow"
    Action = concat(
      ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
      length(local.waking) == 0 ? [] : ["dynamodb:ListStreams"],
    )
    Resource = [for stream in var.streams : stream.arn]
  }]

  secret_statements = concat(
    length(var.ssm_parameters) == 0 ? [] : [{
      Sid      = "Parameters"
      Effect   = "Allow"
      Action   = ["ssm:GetParameter"]
      Resource = var.ssm_parameters
    }],
    length(var.secrets) == 0 ? [] : [{
      Sid      = "Secrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = var.secrets
    }],
  )

  key_statements = length(var.kms_keys) == 0 ? [] : [{
    Sid      = "Keys"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = var.kms_keys
  }]

  # Lambda makes and removes network interfaces in the function's name; these actions take no resource.
  vpc_statements = var.vpc == null ? [] : [{
    Sid    = "Network"
    Effect = "Allow"
    Action = [
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
    ]
    Resource = ["*"]
  }]

  store_statements = concat(
    local.source_statements,
    local.target_statements,
    local.stream_statements,
    local.secret_statements,
  )
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = "${local.prefix}-${each.key}"
  assume_role_policy   = local.assume_lambda
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "keyferry"
  role = aws_iam_role.function[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
      }],
      [{
        Sid      = "DeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      }],
      local.state_statements,
      contains(local.reaches_stores, each.key) ? local.store_statements : [],
      local.key_statements,
      local.vpc_statements,
      local.consumes_queue && contains(["backfill"], each.key) ? [{
        Sid      = "Queue"
        Effect   = "Allow"
        Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        Resource = [aws_sqs_queue.items.arn]
      }] : [],
      local.consumes_queue && each.key == "dispatch" ? [{
        Sid      = "Queue"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
        Resource = [aws_sqs_queue.items.arn]
      }] : [],
      var.tracing ? [{
        Sid    = "Traces"
        Effect = "Allow"
        Action = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        # X-Ray gives them no resource.
        Resource = ["*"]
      }] : [],
    )
  })
}

resource "aws_iam_role" "scheduler" {
  name = "${local.prefix}-scheduler"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
    }]
  })
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_role_policy" "scheduler" {
  name = "keyferry"
  role = aws_iam_role.scheduler.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Call"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [for name in sort(tolist(local.scheduled)) : aws_lambda_function.function[name].arn]
      }],
      [{
        Sid      = "DeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      }],
      [for machine in aws_sfn_state_machine.fan_out : {
        Sid      = "Start"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = [machine.arn]
      }],
    )
  })
}
