# A root module: one migration of etcd in a VPC, copied by eight functions on a schedule.
#
#     keyferry lambda package config-v2-to-v3 --out functions
#     for f in functions/*/; do (cd "$f" && zip -qr "../$(basename "$f").zip" .); done
#     terraform init && terraform apply

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "Region of the functions and of the state."
  type        = string
  default     = "eu-west-1"
}

variable "runtime" {
  description = "See the module's."
  type        = string
  default     = "nodejs24.x"
}

variable "functions_dir" {
  description = "Where the zips are."
  type        = string
  default     = "functions"
}

variable "subnet_ids" {
  description = "Private subnets that reach etcd, with a gateway endpoint for DynamoDB and interface endpoints for SSM and logs."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Groups that etcd lets in."
  type        = list(string)
}

variable "etcd_password_parameter" {
  description = "ARN of the parameter that keyferry.yaml refers to as { ssm: … }."
  type        = string
}

resource "aws_sns_topic" "alarms" {
  name = "keyferry-alarms"
}

module "migration" {
  source = "../.."

  migration      = "config-v2-to-v3"
  functions_dir  = var.functions_dir
  runtime        = var.runtime
  functions      = 8
  vpc            = { subnet_ids = var.subnet_ids, security_group_ids = var.security_group_ids }
  ssm_parameters = [var.etcd_password_parameter]
  alarm_actions  = [aws_sns_topic.alarms.arn]
  tags           = { migration = "config-v2-to-v3" }
}

output "state_table" {
  description = "For keyferry.yaml: state.dynamodb.table."
  value       = module.migration.state_table.name
}

# For whoever plans, submits and follows; attach it to their role.
resource "aws_iam_policy" "operator" {
  name   = "keyferry-operator"
  policy = module.migration.operator_policy
}
