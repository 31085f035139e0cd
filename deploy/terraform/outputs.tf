output "connection_string" {
  description = "For a program that uses Entrada as a library, or `entrada query`."
  value       = local.connection_string
}

output "create_user" {
  description = "T-SQL that an administrator runs once in the database; it needs no permission in the directory."
  value       = <<-EOT
    CREATE USER [${azurerm_user_assigned_identity.app.name}] WITH SID = 0x${local.sid}, TYPE = E;
    ALTER ROLE db_datareader ADD MEMBER [${azurerm_user_assigned_identity.app.name}];
    ALTER ROLE db_datawriter ADD MEMBER [${azurerm_user_assigned_identity.app.name}];
  EOT
}
