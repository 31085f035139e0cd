variable "name" {
  description = "Prefix of every resource; the SQL server's name must be free in all of Azure."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,40}$", var.name))
    error_message = "Small letters, digits and hyphens, beginning with a letter."
  }
}

variable "location" {
  description = "Azure region."
  type        = string
  default     = "westeurope"
}

variable "administrators" {
  description = "The Entra group (or user) that administers the server: its name and object id."
  type = object({
    name      = string
    object_id = string
  })
}

variable "app_image" {
  description = "Image of the legacy program, which finds its database in the variable DATABASE."
  type        = string
}

variable "entrada_image" {
  description = "Image of Entrada (deploy/Dockerfile)."
  type        = string
}
