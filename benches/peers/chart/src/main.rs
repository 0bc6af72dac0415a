//! Draws bars. Each line of the input is a panel's title, a series, what a bar stands for, and its value, with tabs between.
//! The words of the command line are the file to write, and a title.

use std::io::stdin;

use plotters::prelude::*;

const WIDTH: u32 = 900;
/// Of a bar, and of what is around the bars of a panel.
const BAR: u32 = 14;
const AROUND: u32 = 110;
const COLOURS: [RGBColor; 2] = [RGBColor(0x4c, 0x78, 0xa8), RGBColor(0xf5, 0x85, 0x18)];

/// In the order in which they came.
fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (path, title) = words.next().zip(words.next()).ok_or("usage: peer-chart FILE TITLE")?;
    let lines: Vec<String> = stdin().lines().collect::<Result<_, _>>()?;
    let mut bars: Vec<(&str, &str, &str, f64)> = Vec::new();
    for line in &lines {
        let [panel, series, name, value] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("four fields are wanted: {line}").into());
        };
        bars.push((panel, series, name, value.parse()?));
    }
    let panels = distinct(bars.iter().map(|bar| bar.0));
    let height = |panel: &str| bars.iter().filter(|bar| bar.0 == panel).count() as u32 * (BAR + 4) + AROUND;
    let total = panels.iter().map(|panel| height(panel)).sum::<u32>() + 40;
    let root = SVGBackend::new(&path, (WIDTH, total)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut rest = root.titled(&title, ("sans-serif", 18))?;
    for panel in panels {
        let (area, below) = rest.split_vertically(height(panel));
        let own: Vec<_> = bars.iter().filter(|bar| bar.0 == panel).collect();
        draw(&area, panel, &own)?;
        rest = below;
    }
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(
    area: &Area<'_>,
    panel: &str,
    bars: &[&(&str, &str, &str, f64)],
) -> Result<(), Box<dyn std::error::Error>> {
    let names = distinct(bars.iter().map(|bar| bar.2));
    let series = distinct(bars.iter().map(|bar| bar.1));
    let least = bars.iter().map(|bar| bar.3).fold(f64::INFINITY, f64::min);
    let most = bars.iter().map(|bar| bar.3).fold(0.0, f64::max);
    let (from, to) = (10_f64.powf((least / 1.5).log10().floor()), most * 2.5);
    let rows = names.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(panel, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(230)
        .build_cartesian_2d((from..to).log_scale(), 0.0..rows)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_label_formatter(&|value| format!("{value}"))
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    let thick = 0.84 / series.len() as f64;
    for (number, one) in series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let place = |name: &str| {
            let row = names.iter().position(|known| *known == name).unwrap_or_default();
            rows - row as f64 - 0.08 - thick * number as f64
        };
        let own: Vec<_> = bars.iter().filter(|bar| bar.1 == *one).collect();
        chart
            .draw_series(own.iter().map(|bar| {
                let top = place(bar.2);
                Rectangle::new([(from, top), (bar.3, top - thick)], colour.filled())
            }))?
            .label(*one)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled()));
        chart.draw_series(own.iter().map(|bar| {
            let value = if bar.3 < 10.0 { format!("{:.2}", bar.3) } else { format!("{:.0}", bar.3) };
            let middle = place(bar.2) - thick * 0.2;
            EmptyElement::at((bar.3, middle)) + Text::new(value, (4, 0), ("sans-serif", 11))
        }))?;
    }
    let (_, top) = area.get_pixel_range();
    let plot = chart.plotting_area().get_pixel_range();
    for (row, name) in names.iter().enumerate() {
        let step = f64::from(plot.1.end - plot.1.start) / rows;
        let y = f64::from(plot.1.start - top.start) + step * (row as f64 + 0.5) - 6.0;
        area.draw(&Text::new((*name).to_owned(), (10, y as i32), ("sans-serif", 13)))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
