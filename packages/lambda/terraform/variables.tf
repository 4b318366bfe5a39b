variable "migration" {
  description = "Name of the migration, as keyferry.yaml has it. Stands in the names of everything here."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", var.migration))
    error_message = "The name of a migration is up to 40 letters, digits, dots, dashes and underscores."
  }
}

variable "functions_dir" {
  description = "Folder with plan.zip, dispatch.zip, backfill.zip, verify.zip and sweep.zip, or with tail.zip: what `keyferry lambda package` wrote, each folder zipped."
  type        = string
}

variable "runtime" {
  description = "Lambda runtime. Providers before 6.20 do not know nodejs24.x."
  type        = string
  default     = "nodejs24.x"
}

variable "follows" {
  description = "The migration has strategy replicate: what `keyferry lambda package` wrote is tail.zip alone, and each tick calls it. Its fan_out is schedule."
  type        = bool
  default     = false
}

variable "streams" {
  description = "With follows: streams of the DynamoDB tables that are followed, the source's, and the target's for the way back (stream_arn of each table). tail may read them. wakes: a change calls tail at once, beside its tick."
  type = list(object({
    arn   = string
    wakes = optional(bool, false)
  }))
  default = []

  validation {
    condition     = alltrue([for stream in var.streams : !strcontains(stream.arn, "*") && strcontains(stream.arn, "/stream/")])
    error_message = "Name each stream with its label, as stream_arn of its table has it."
  }
  validation {
    condition     = length(var.streams) == 0 || var.follows
    error_message = "Streams are followed with follows = true."
  }
}

variable "functions" {
  description = "Functions that may copy at once: limits.functions of the migration."
  type        = number
  default     = 8

  validation {
    condition     = var.functions >= 1 && var.functions <= 1000 && floor(var.functions) == var.functions
    error_message = "Between 1 and 1,000 functions may copy at once."
  }
}

variable "fan_out" {
  description = "How chunks get to functions. schedule: each tick calls as many as may work at once. map: a Step Functions Distributed Map shares them out. queue: dispatch puts items into a queue whenever it has run dry."
  type        = string
  default     = "schedule"

  validation {
    condition     = contains(["schedule", "map", "queue"], var.fan_out)
    error_message = "fan_out is schedule, map or queue."
  }
}

variable "enabled" {
  description = "Whether anything is called by itself. false: nothing runs until somebody calls it."
  type        = bool
  default     = true
}

variable "tick" {
  description = "Schedule of dispatch, sweep and, with fan_out schedule, of backfill and verify. A minute is the shortest."
  type        = string
  default     = "rate(1 minute)"
}

variable "memory" {
  description = "Megabytes for the functions that read and write records. 1,769 is one vCPU."
  type        = number
  default     = 1769

  validation {
    condition     = var.memory >= 512 && var.memory <= 10240
    error_message = "Between 512 and 10,240 megabytes."
  }
}

variable "timeout" {
  description = "Seconds that backfill and verify may take; they checkpoint and return before."
  type        = number
  default     = 300

  validation {
    condition     = var.timeout >= 30 && var.timeout <= 900
    error_message = "Between 30 and 900 seconds."
  }
}

variable "scratch" {
  description = "Megabytes of /tmp: sources without an order are sorted there, at one and a half times their bytes."
  type        = number
  default     = 2048

  validation {
    condition     = var.scratch >= 512 && var.scratch <= 10240
    error_message = "Between 512 and 10,240 megabytes."
  }
}

variable "state_table" {
  description = "The table of the state, if it is there already; null makes one."
  type        = object({ name = string, arn = string })
  default     = null
}

variable "state_table_name" {
  description = "Name of the table that is made when state_table is null: state.dynamodb.table of keyferry.yaml."
  type        = string
  default     = "keyferry"
}

variable "source_tables" {
  description = "ARNs of DynamoDB tables that are the source of the migration. With follows, tail also writes to them: marks by which it finds the end of the stream, and after a cutover what the target changes."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.source_tables : !strcontains(arn, "*")])
    error_message = "Name each table; wildcards give more than a migration needs."
  }
}

variable "target_tables" {
  description = "ARNs of DynamoDB tables that are the target of the migration."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.target_tables : !strcontains(arn, "*")])
    error_message = "Name each table; wildcards give more than a migration needs."
  }
}

variable "ssm_parameters" {
  description = "ARNs of the parameters that the configuration refers to as { ssm: NAME }."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.ssm_parameters : !strcontains(arn, "*")])
    error_message = "Name each parameter; wildcards give more than a migration needs."
  }
}

variable "secrets" {
  description = "ARNs of the secrets that the configuration refers to as { secretsManager: ID }."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.secrets : !strcontains(arn, "*")])
    error_message = "Name each secret; wildcards give more than a migration needs."
  }
}

variable "kms_keys" {
  description = "ARNs of keys that tables, parameters and secrets are encrypted with, where they are not AWS's own."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.kms_keys : !strcontains(arn, "*")])
    error_message = "Name each key; wildcards give more than a migration needs."
  }
}

variable "environment" {
  description = "Variables for { env: NAME } references. They are readable in the console: no secrets."
  type        = map(string)
  default     = {}
}

variable "vpc" {
  description = "Subnets and security groups for functions that reach stores in a VPC; null: outside of any."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null
}

variable "tracing" {
  description = "Whether X-Ray traces each invocation. Log lines name the trace either way, where there is one."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Days that log lines are kept."
  type        = number
  default     = 30
}

variable "alarm_actions" {
  description = "ARNs that alarms are sent to: SNS topics."
  type        = list(string)
  default     = []
}

variable "still_minutes" {
  description = "Minutes without progress after which an alarm goes off."
  type        = number
  default     = 10
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for all roles; null: none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags for everything that takes them."
  type        = map(string)
  default     = {}
}

variable "fan_out_every" {
  description = "With fan_out map: how often the state machine looks for a plan to take up. Each look is three transitions."
  type        = string
  default     = "rate(5 minutes)"
}
