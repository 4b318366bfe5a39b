output "state_table" {
  description = "Name and ARN of the state's table: name is state.dynamodb.table of keyferry.yaml."
  value       = local.state_table
}

output "functions" {
  description = "Names of the functions, by what they do."
  value       = { for name, function in aws_lambda_function.function : name => function.function_name }
}

output "items_queue_url" {
  description = "Where items go with fan_out queue."
  value       = aws_sqs_queue.items.url
}

output "state_machine_arn" {
  description = "With fan_out map; null else."
  value       = one(aws_sfn_state_machine.fan_out[*].arn)
}

output "operator_policy" {
  description = "Policy, as JSON, for people and CI that plan, submit and follow: the state's table."
  value       = jsonencode({ Version = "2012-10-17", Statement = local.state_statements })
}
