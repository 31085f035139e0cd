# An identity, a server that knows no passwords, and a program that is handed a connection string.

data "azurerm_client_config" "current" {}

resource "azurerm_resource_group" "this" {
  name     = "${var.name}-rg"
  location = var.location
}

resource "azurerm_user_assigned_identity" "app" {
  name                = "${var.name}-app"
  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
}

resource "azurerm_mssql_server" "this" {
  name                = "${var.name}-sql"
  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
  version             = "12.0"
  minimum_tls_version = "1.2"

  # Entra only: there is no SQL login, and no password to lose.
  azuread_administrator {
    login_username              = var.administrators.name
    object_id                   = var.administrators.object_id
    tenant_id                   = data.azurerm_client_config.current.tenant_id
    azuread_authentication_only = true
  }
}

resource "azurerm_mssql_database" "orders" {
  name      = "orders"
  server_id = azurerm_mssql_server.this.id
  sku_name  = "GP_S_Gen5_1"

  auto_pause_delay_in_minutes = 60
  min_capacity                = 0.5
}

# Azure's own addresses, which Container Apps come from. A private endpoint is better; it needs a network.
resource "azurerm_mssql_firewall_rule" "azure" {
  name             = "azure-services"
  server_id        = azurerm_mssql_server.this.id
  start_ip_address = "0.0.0.0"
  end_ip_address   = "0.0.0.0"
}

resource "azurerm_container_app_environment" "this" {
  name                = "${var.name}-env"
  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
}

resource "azurerm_container_app" "app" {
  name                         = "${var.name}-app"
  resource_group_name          = azurerm_resource_group.this.name
  container_app_environment_id = azurerm_container_app_environment.this.id
  revision_mode                = "Single"

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.app.id]
  }

  template {
    min_replicas = 1

    container {
      name   = "app"
      image  = var.app_image
      cpu    = 0.25
      memory = "0.5Gi"

      # User and password mean nothing to the proxy; old programs insist on some.
      env {
        name  = "DATABASE"
        value = "Server=127.0.0.1,1433;User ID=app;Password=unused;Encrypt=False"
      }
    }

    container {
      name   = "entrada"
      image  = var.entrada_image
      cpu    = 0.25
      memory = "0.5Gi"
      # Containers of a replica share loopback and nothing else; images differ in their users.
      args = ["proxy", "env:AZURE_SQL", "--listen", "127.0.0.1:1433", "--admission", "any", "--state", "/tmp/state"]

      env {
        name  = "AZURE_SQL"
        value = local.connection_string
      }
    }
  }
}

locals {
  # No secret in it: the identity is named by its client id.
  connection_string = join(";", [
    "Server=tcp:${azurerm_mssql_server.this.fully_qualified_domain_name},1433",
    "Database=${azurerm_mssql_database.orders.name}",
    "Authentication=ActiveDirectoryMSI",
    "User ID=${azurerm_user_assigned_identity.app.client_id}",
    "Encrypt=strict",
  ])

  # A user's SID is its client id as SQL Server stores a GUID: the first three groups turned round.
  groups = split("-", azurerm_user_assigned_identity.app.client_id)
  sid = upper(join("", concat(
    [for group in slice(local.groups, 0, 3) : join("", reverse(regexall("..", group)))],
    slice(local.groups, 3, 5),
  )))
}
