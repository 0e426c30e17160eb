//! The percentile distribution as the HdrHistogram tools write and plot it.

use hdrhistogram::Histogram;

/// How many lines for each halving of what is left: the tools' own choice.
const TICKS_PER_HALF: u32 = 5;

/// Writes the distribution of latencies that were recorded in nanoseconds. Values are in
/// milliseconds, which the plotters expect, with a nanosecond as the last digit.
#[must_use]
pub fn percentile_distribution(latency: &Histogram<u64>) -> String {
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut count = 0;
    for step in latency.iter_quantiles(TICKS_PER_HALF) {
        count += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        text += &format!(
            "{:12.6} {quantile:1.12} {count:10}",
            milliseconds(step.value_iterated_to())
        );
        if quantile < 1.0 {
            text += &format!(" {:14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    text += &format!(
        "#[Mean    = {:12.6}, StdDeviation   = {:12.6}]\n",
        latency.mean() / 1e6,
        latency.stdev() / 1e6
    );
    text += &format!(
        "#[Max     = {:12.6}, Total count    = {:12}]\n",
        milliseconds(latency.max()),
        latency.len()
    );
    text += &format!(
        "#[Buckets = {:12}, SubBuckets     = {:12}]\n",
        latency.buckets(),
        2_u64.pow(SUB_BUCKET_BITS)
    );
    text + "# Value in milliseconds\n"
}

/// Three digits take 2048 sub-buckets: twice a thousand, rounded up to a power of two.
const SUB_BUCKET_BITS: u32 = 11;

#[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
