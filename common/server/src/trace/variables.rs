//! Checks of the OpenTelemetry variables. The exporter reads them itself, and ignores a value that it does not support
//! with no more than a warning.

use std::ops::RangeInclusive;

use crate::settings::{Env, SettingError};

/// Variables with a choice of values.
const CHOICES: [(&str, &[&str]); 8] = [
    ("OTEL_EXPORTER_OTLP_COMPRESSION", &["gzip", "none"]),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", &["gzip", "none"]),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", &["http/protobuf"]),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", &["http/protobuf"]),
    ("OTEL_PROPAGATORS", &["tracecontext", "tracecontext,baggage"]),
    ("OTEL_SDK_DISABLED", &["true", "false"]),
    ("OTEL_TRACES_EXPORTER", &["otlp", "none"]),
    (
        "OTEL_TRACES_SAMPLER",
        &[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ],
    ),
];

/// Variables with a number: of milliseconds, spans or attributes.
const NUMBERS: [&str; 9] = [
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
];

/// Ratio of the samplers that have one.
const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";
const RATIOS: RangeInclusive<f64> = 0.0..=1.0;

/// Variables without an effect. Each also exists with `TRACES_` after `OTLP_`.
const UNSUPPORTED: [&str; 3] = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"];

/// Refuses values that the exporter would ignore.
pub(super) fn check(env: &Env<'_>) -> Result<(), SettingError> {
    for (name, choices) in CHOICES {
        if env.get(name).is_some_and(|value| !choices.contains(&value.as_str())) {
            return Err(SettingError::invalid(name, format!("expected {}", choices.join(", "))));
        }
    }
    for name in NUMBERS {
        env.parsed::<u32>(name)?;
    }
    if env.parsed(RATIO)?.is_some_and(|ratio| !RATIOS.contains(&ratio)) {
        return Err(SettingError::invalid(RATIO, "expected a number from 0 to 1"));
    }
    for name in UNSUPPORTED.iter().flat_map(|name| ["", "TRACES_"].map(|of| format!("OTEL_EXPORTER_OTLP_{of}{name}"))) {
        if env.get(&name).is_some() {
            return Err(SettingError::invalid(
                &name,
                "not supported; the collector's certificate must be publicly trusted",
            ));
        }
    }
    Ok(())
}

/// Returns whether spans are to be exported if there is a collector.
pub(super) fn is_enabled(env: &Env<'_>) -> bool {
    env.get("OTEL_SDK_DISABLED").as_deref() != Some("true")
        && env.get("OTEL_TRACES_EXPORTER").as_deref() != Some("none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, value: &str) -> Result<(), String> {
        check(&Env::new(|asked| (asked == name).then(|| value.to_owned()))).map_err(|error| error.to_string())
    }

    #[test]
    fn values_without_an_effect_are_refused_by_name() {
        let bad = [
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "deflate"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/key.pem"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_SDK_DISABLED", "yes"),
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
            ("OTEL_TRACES_SAMPLER_ARG", "half"),
        ];
        for (name, value) in bad {
            let problem = checked(name, value).unwrap_err();
            assert!(problem.starts_with(&format!("{name}: ")), "{problem}");
        }
        assert_eq!(
            checked("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").unwrap_err(),
            "OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf"
        );
    }

    #[test]
    fn supported_values_are_accepted() {
        let good = [
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", ""),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ];
        for (name, value) in good {
            assert_eq!(checked(name, value), Ok(()), "{name}={value}");
        }
    }
}
