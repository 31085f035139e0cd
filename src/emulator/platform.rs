//! The platforms of Azure whose identity endpoints the emulator has.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A place in Azure where a program gets tokens from an endpoint of the platform's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Platform {
    /// App Service, Functions and Container Apps, version 2019-08-01.
    AppService,
    /// App Service as it was before, version 2017-09-01.
    #[serde(rename = "app-service-2017")]
    AppService2017,
    /// A server elsewhere that Azure Arc manages.
    Arc,
    /// Azure Automation.
    Automation,
    /// Azure Cloud Shell, whose tokens are those of the person who sits at it.
    CloudShell,
    /// Container groups of Windows in Azure Container Instances; those of Linux see IMDS.
    ContainerInstancesWindows,
    /// A virtual machine: the Azure Instance Metadata Service.
    Imds,
    /// Azure Machine Learning.
    MachineLearning,
    /// Service Fabric.
    ServiceFabric,
}

/// Words that name no [`Platform`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{word:?} is no platform; write imds, app-service, app-service-2017, arc, service-fabric, \
     cloud-shell, machine-learning, automation or container-instances-windows"
)]
pub struct UnknownPlatform {
    /// What stands there.
    pub word: String,
}

impl Platform {
    /// All of them, the common ones first.
    pub const ALL: [Self; 9] = [
        Self::Imds,
        Self::AppService,
        Self::AppService2017,
        Self::Arc,
        Self::ServiceFabric,
        Self::CloudShell,
        Self::MachineLearning,
        Self::Automation,
        Self::ContainerInstancesWindows,
    ];

    /// Its name in configuration files, faults and recorded requests, such as `service-fabric`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AppService => "app-service",
            Self::AppService2017 => "app-service-2017",
            Self::Arc => "arc",
            Self::Automation => "automation",
            Self::CloudShell => "cloud-shell",
            Self::ContainerInstancesWindows => "container-instances-windows",
            Self::Imds => "imds",
            Self::MachineLearning => "machine-learning",
            Self::ServiceFabric => "service-fabric",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|platform| platform.as_str() == word)
            .ok_or_else(|| UnknownPlatform { word: word.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_the_same_platform_everywhere() {
        #[derive(Deserialize)]
        struct File {
            platform: Platform,
        }
        for platform in Platform::ALL {
            let file: File = toml::from_str(&format!("platform = \"{platform}\"")).unwrap();
            assert_eq!(file.platform, platform);
            assert_eq!(platform.to_string().parse(), Ok(platform));
        }
        let error = "vm".parse::<Platform>().unwrap_err().to_string();
        for platform in Platform::ALL {
            assert!(error.contains(platform.as_str()), "{error}");
        }
    }
}
