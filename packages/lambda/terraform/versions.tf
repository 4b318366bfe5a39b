terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.20 is the first that documents nodejs24.x; with an older one set var.runtime to a runtime that it knows.
      version = ">= 5.100, < 7.0"
    }
  }
}
