# fan_out = "map": dispatch says what is next and shares it out; a Distributed Map hands the items to functions.
#
#     Dispatch ──next: backfill──► Backfill (map) ──┐
#        ▲  └────next: verify────► Verify (map) ────┤
#        └──────────────────────────────────────────┘        next: null ends it
#
# Items are names of chunks; truth stays in the table. An item whose answer has something left is called again.

locals {
  # One item until nothing of it is left, for each phase.
  item_state = {
    for name in ["backfill", "verify"] : name => {
      Type = "Task"
      # The payload is the item: { plan, first, last }.
      Resource = "arn:${local.partition}:states:::lambda:invoke"
      Parameters = {
        FunctionName = try(aws_lambda_function.function[name].arn, null)
        "Payload.$"  = "$"
      }
      ResultSelector = { "outcome.$" = "$.Payload.outcome" }
      ResultPath     = "$.answer"
      Retry = [{
        # Too many at once, and what the service itself has a cold with. Also a function that was killed.
        ErrorEquals     = ["Lambda.TooManyRequestsException", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException", "States.Timeout", "Lambda.Unknown"]
        IntervalSeconds = 5
        BackoffRate     = 2
        MaxAttempts     = 6
        JitterStrategy  = "FULL"
      }]
      Next = "Left?"
    }
  }

  maps = {
    for name in ["backfill", "verify"] : title(name) => {
      Type           = "Map"
      ItemsPath      = "$.dispatched.items"
      MaxConcurrency = var.functions
      # One item that fails for good is the next round's; many mean that something is wrong.
      ToleratedFailurePercentage = 50
      ItemProcessor = {
        ProcessorConfig = { Mode = "DISTRIBUTED", ExecutionType = "STANDARD" }
        StartAt         = "Work"
        States = {
          Work = local.item_state[name]
          "Left?" = {
            Type = "Choice"
            Choices = [
              { Variable = "$.answer.outcome", StringEquals = "more", Next = "Work" },
              { Variable = "$.answer.outcome", StringEquals = "waiting", Next = "Wait" },
            ]
            Default = "Done"
          }
          # What is left is in other hands, or theirs have died: a lease ends within this time.
          Wait = { Type = "Wait", Seconds = 30, Next = "Work" }
          Done = { Type = "Succeed" }
        }
      }
      ResultPath = null
      Next       = "Dispatch"
    }
  }

  definition = {
    Comment = "keyferry: chunks of migration ${var.migration}, shared out"
    StartAt = "Dispatch"
    States = merge(local.maps, {
      Dispatch = {
        Type     = "Task"
        Resource = "arn:${local.partition}:states:::lambda:invoke"
        Parameters = {
          FunctionName = try(aws_lambda_function.function["dispatch"].arn, null)
          Payload      = {}
        }
        ResultSelector = {
          "next.$"    = "$.Payload.next"
          "outcome.$" = "$.Payload.outcome"
          "items.$"   = "$.Payload.items"
        }
        ResultPath = "$.dispatched"
        Retry = [{
          ErrorEquals     = ["States.ALL"]
          IntervalSeconds = 5
          BackoffRate     = 2
          MaxAttempts     = 4
          JitterStrategy  = "FULL"
        }]
        Next = "What is next?"
      }
      "What is next?" = {
        Type = "Choice"
        Choices = [
          { Variable = "$.dispatched.next", StringEquals = "backfill", Next = "Backfill" },
          { Variable = "$.dispatched.next", StringEquals = "verify", Next = "Verify" },
          # Beginning an attempt took longer than an invocation.
          { Variable = "$.dispatched.outcome", StringEquals = "more", Next = "Dispatch" },
        ]
        Default = "Nothing to do"
      }
      "Nothing to do" = { Type = "Succeed" }
    })
  }

  # From an ARN that is there anyway, so that no data source has to be read.
  partition = split(":", aws_sqs_queue.dead_letters.arn)[1]
}

resource "aws_sfn_state_machine" "fan_out" {
  count = var.fan_out == "map" ? 1 : 0

  name       = local.prefix
  role_arn   = aws_iam_role.state_machine[0].arn
  type       = "STANDARD"
  definition = jsonencode(local.definition)
  tags       = var.tags
}

resource "aws_iam_role" "state_machine" {
  count = var.fan_out == "map" ? 1 : 0

  name = "${local.prefix}-state-machine"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
    }]
  })
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_role_policy" "state_machine" {
  count = var.fan_out == "map" ? 1 : 0

  name = "keyferry"
  role = aws_iam_role.state_machine[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Call"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [for name in ["backfill", "dispatch", "verify"] : aws_lambda_function.function[name].arn]
      },
      {
        # The map runs its items as executions of its own machine. By name, as the machine's own ARN would be a circle.
        Sid      = "Children"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = [local.machine_arn]
      },
    ]
  })
}

locals {
  # arn:aws:sqs:REGION:ACCOUNT:NAME
  queue_arn   = split(":", aws_sqs_queue.dead_letters.arn)
  machine_arn = "arn:${local.partition}:states:${local.queue_arn[3]}:${local.queue_arn[4]}:stateMachine:${local.prefix}"
}
