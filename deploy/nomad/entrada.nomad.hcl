# A legacy program and Entrada in one Nomad group on Azure machines with a managed identity.
# Both tasks share the group's network namespace; Consul knows the service and whether a login works.
job "legacy-app" {
  datacenters = ["dc1"]
  type        = "service"

  group "app" {
    count = 2

    network {
      mode = "bridge"
    }

    service {
      name     = "legacy-app-entrada"
      provider = "consul"
      task     = "entrada"
      tags     = ["azure-sql"]

      # From inside: the admin listener is on loopback only. Passes when a login works.
      check {
        name     = "a login works"
        type     = "script"
        task     = "entrada"
        command  = "/usr/local/bin/entrada"
        args     = ["proxy", "health"]
        interval = "10s"
        timeout  = "10s"
      }
    }

    task "entrada" {
      driver = "docker"
      user   = "65532"

      # Started before the program and kept beside it.
      lifecycle {
        hook    = "prestart"
        sidecar = true
      }

      config {
        image           = "registry.example/entrada:0.1.0"
        args            = ["proxy", "--config", "/local/proxy.toml", "--state", "/secrets/state", "--log-format", "json"]
        readonly_rootfs = true
        cap_drop        = ["ALL"]
        security_opt    = ["no-new-privileges"]
      }

      template {
        destination   = "local/proxy.toml"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-EOT
          drain_timeout = "20s"

          [[target]]
          name = "orders"
          connection = "Server=tcp:contoso.database.windows.net,1433;Database=orders;Authentication=ActiveDirectoryMSI;Encrypt=strict"

          [[listener]]
          name = "orders"
          listen = "127.0.0.1:1433"
          target = "orders"
          admission = "same-user"

          [admin]
          listen = "127.0.0.1:9464"
        EOT
      }

      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      resources {
        cpu    = 100
        memory = 128
      }
    }

    task "app" {
      driver = "docker"
      # The same user as the proxy, which is how it knows its client.
      user   = "65532"

      config {
        image = "registry.example/legacy-app:1"
      }

      env {
        # User and password mean nothing to the proxy; old programs insist on some.
        DATABASE = "Server=127.0.0.1,1433;User ID=app;Password=unused;Encrypt=False"
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
